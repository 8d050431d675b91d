from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from corpus.fakes import small_source
from rosella.corpus.project import Corpus
from support import environment, free_port, python

ROSELLA = ("-m", "rosella", "corpus")


@pytest.mark.services
def test_workers_join_and_leave_log_json_and_count(tmp_path, postgres_url, redis_url, monkeypatch):
    monkeypatch.setenv("ROSELLA_CATALOGUE", postgres_url)
    monkeypatch.setenv("ROSELLA_REDIS", redis_url)
    folder, source, port = str(tmp_path / "corpus"), str(small_source(tmp_path / "source")), free_port()
    added = python(*ROSELLA, "add", source, "--corpus", folder)
    assert added.returncode == 0, added.stderr
    log = (tmp_path / "log").open("w")
    command = [sys.executable, *ROSELLA, "work", "--corpus", folder, "--metrics-port", str(port)]
    worker = subprocess.Popen(command, env=environment(), stderr=log)
    try:
        ran = python(*ROSELLA, "run", "--corpus", folder, "--engine", "queue")
        assert ran.returncode == 0, ran.stderr
        assert "tokenize: 3 done, 0 failed" in ran.stdout
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"rosella_recordings_total" in answer.read()
    finally:
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 143
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert all({"time", "level", "message", "process"} <= line.keys() for line in lines)
    assert postgres_url not in (tmp_path / "log").read_text()
    with Corpus.open(folder) as corpus:
        assert corpus.export().utterances == 6


@pytest.mark.services
def test_a_killed_worker_is_started_again(tmp_path, postgres_url, redis_url, monkeypatch):
    import psutil

    monkeypatch.setenv("ROSELLA_CATALOGUE", postgres_url)
    monkeypatch.setenv("ROSELLA_REDIS", redis_url)
    Corpus.open(tmp_path / "corpus", create=True).close()
    command = [sys.executable, *ROSELLA, "work", "--corpus", str(tmp_path / "corpus")]
    work = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        for child in children(psutil.Process(work.pid)):
            os.kill(child.pid, signal.SIGKILL)
        assert "A worker ended (-9), starting another" in work.stderr.readline()  # type: ignore[union-attr]
        assert children(psutil.Process(work.pid))
    finally:
        work.terminate()
        work.wait(60)


def children(process):
    """Those that do the work, once there are some."""
    while True:
        found = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
        if found:
            return found


@pytest.mark.slow
def test_one_machine_with_several_devices_gives_the_same_and_survives_a_killed_process(tmp_path):
    import psutil

    source = small_source(tmp_path / "source")
    for name in ("one", "two"):
        assert python(*ROSELLA, "add", str(source), "--corpus", str(tmp_path / name)).returncode == 0
    assert python(*ROSELLA, "run", "--corpus", str(tmp_path / "one")).returncode == 0
    command = [sys.executable, *ROSELLA, "run", "--corpus", str(tmp_path / "two")]
    command += ["--device", "cpu", "--device", "cpu"]
    run = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.kill(children(psutil.Process(run.pid))[0].pid, signal.SIGKILL)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert "A worker ended (-9), starting another" in err
    assert "tokenize: 3 of 3" in err
    assert "tokenize: 3 done, 0 failed" in out
    shards = []
    for name in ("one", "two"):
        with Corpus.open(tmp_path / name) as corpus:
            corpus.export()
        shards.append({path.name: path.read_bytes() for path in (tmp_path / name / "shards").iterdir()})
    assert shards[0] == shards[1]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_several_devices_end_with_the_one_that_started_them(tmp_path, how):
    import psutil

    source = small_source(tmp_path / "source", 40)
    assert python(*ROSELLA, "add", str(source), "--corpus", str(tmp_path / "c")).returncode == 0
    command = [sys.executable, *ROSELLA, "run", "--corpus", str(tmp_path / "c")]
    run = subprocess.Popen([*command, "--device", "cpu", "--device", "cpu"], env=environment())
    started = children(psutil.Process(run.pid))
    run.send_signal(how)
    assert run.wait(60) != 0
    assert psutil.wait_procs(started, timeout=60)[1] == []
    with Corpus.open(tmp_path / "c") as corpus:
        assert corpus.status().stages["tokenize"].get("done", 0) < 40
    assert python(*ROSELLA, "run", "--corpus", str(tmp_path / "c")).returncode == 0
    with Corpus.open(tmp_path / "c") as corpus:
        assert corpus.status().stages["tokenize"] == {"done": 40}


def test_several_devices_cannot_find_a_codec_that_is_not_there(tmp_path):
    source = small_source(tmp_path / "source")
    assert python(*ROSELLA, "add", str(source), "--corpus", str(tmp_path / "c")).returncode == 0
    devices = ("--device", "cpu", "--device", "cpu")
    ran = python(*ROSELLA, "run", "--corpus", str(tmp_path / "c"), "--codec", str(tmp_path / "no"), *devices)
    assert ran.returncode == 2
    assert "rosella: " in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_redis_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("ROSELLA_REDIS", raising=False)
    ended = python(*ROSELLA, "work", "--corpus", str(tmp_path))
    assert ended.returncode == 2
    assert "set ROSELLA_REDIS=redis://" in ended.stderr
