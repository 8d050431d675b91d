"""One command, one file, one stream over `ssh`, and what may happen to each."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.fake_ssh import FakeHost, FakeHosts, until
from rosella.cloud.hosts import Denied, NotReady, OpenSsh, Unanswered, on_all
from rosella.cloud.slices import Host
from rosella.errors import UserError
from support import free_port

ADDRESS = "127.0.0.11"
HOST = Host(0, ADDRESS)


@pytest.fixture
def there(hosts: FakeHosts) -> FakeHost:
    return hosts.add(ADDRESS)


@pytest.fixture
def shell(hosts: FakeHosts) -> OpenSsh:
    return hosts.shell()


def test_a_command_runs_in_the_home_there_and_its_end_is_told(there: FakeHost, shell: OpenSsh) -> None:
    done = shell.run(HOST, "pwd; cat; echo no, not so >&2; exit 7", b"what it reads")
    assert (done.code, done.out.decode().splitlines()) == (7, [str(there.home), "what it reads"])
    assert done.error == "no, not so"


def test_the_client_is_told_never_to_ask_and_to_keep_the_keys_of_this_slice(
    shell: OpenSsh, tmp_path: Path
) -> None:
    words = OpenSsh("jan", tmp_path / "known hosts", tmp_path / "key").command(
        Host(3, "10.0.0.1", "34.1.2.3")
    )
    assert words[0] == "ssh" and words[-1] == "jan@34.1.2.3"
    for option in ("BatchMode=yes", f'UserKnownHostsFile="{tmp_path}/known hosts"', "IdentitiesOnly=yes"):
        assert option in words


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [("refuse", Unanswered, "refused"), ("deny", Denied, "Permission denied"), ("hang", Unanswered, "within 0.2 s")],
)  # fmt: skip
def test_a_host_that_gives_no_answer_is_named(
    there: FakeHost, shell: OpenSsh, fault: str, kind: type[NotReady], why: str
) -> None:
    there.fault(fault)
    with pytest.raises(kind, match=rf"Host 0 \({ADDRESS}\): .*{why}"):
        shell.run(HOST, "true", timeout=0.2 if fault == "hang" else 60)
    assert shell.run(HOST, "true").code == 0


def test_a_command_whose_answer_is_lost_has_run_once(there: FakeHost, shell: OpenSsh) -> None:
    there.fault("drop-after")
    with pytest.raises(Unanswered, match="reset"):
        shell.run(HOST, "echo once >> ran; exit 3")
    assert (there.home / "ran").read_text() == "once\n"


def test_a_command_whose_connection_breaks_off_goes_on(there: FakeHost, shell: OpenSsh) -> None:
    there.fault("drop-within")
    with pytest.raises(Unanswered, match="Broken pipe"):
        shell.run(HOST, "until [ -e go ]; do sleep 0.02; done; echo end > end")
    (there.home / "go").touch()
    until((there.home / "end").exists)


def test_a_file_comes_whole_with_its_mode_where_there_was_no_folder(there: FakeHost, shell: OpenSsh) -> None:
    content = bytes(range(256)) * 4000
    shell.put(HOST, content, "a folder/it's here", mode=0o640)
    path = there.home / "a folder" / "it's here"
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "\\x00" not in there.asked() and [each.name for each in path.parent.iterdir()] == ["it's here"]


def test_a_file_that_breaks_off_leaves_the_one_before_alone(there: FakeHost, shell: OpenSsh) -> None:
    shell.put(HOST, b"before", "file")
    there.fault("cut-in-3")
    with pytest.raises(Unanswered):
        shell.put(HOST, b"after it", "file")
    assert [each.name for each in there.home.iterdir()] == ["file"]
    assert (there.home / "file").read_bytes() == b"before"


def test_a_full_disk_leaves_the_file_before_alone(there: FakeHost, shell: OpenSsh, small_disk: Path) -> None:
    (there.home / "disk").symlink_to(small_disk)
    shell.put(HOST, b"before", "disk/file")
    with pytest.raises(NotReady, match="cannot write disk/file .*No space left on device"):
        shell.put(HOST, bytes(3 << 20), "disk/file")
    assert [each.name for each in small_disk.iterdir()] == ["file"]
    assert (small_disk / "file").read_bytes() == b"before"


def test_a_stream_comes_while_the_command_runs_and_ends_with_who_reads_it(
    there: FakeHost, shell: OpenSsh
) -> None:
    stream = shell.stream(HOST, "echo first; until [ -e go ]; do sleep 0.02; done; echo last")
    assert next(stream) == b"first\n"
    (there.home / "go").touch()
    assert next(stream) == b"last\n"
    assert list(stream) == []
    left = shell.stream(HOST, "echo line; sleep 30")
    next(left)
    left.close()
    assert there.processes()  # the client went without waiting for it


def test_a_stream_that_breaks_off_says_so_after_what_it_brought(there: FakeHost, shell: OpenSsh) -> None:
    there.fault("cut-out-4")
    got: list[bytes] = []
    with pytest.raises(Unanswered):
        got.extend(shell.stream(HOST, "echo 123456789"))
    assert b"".join(got) == b"1234"


def test_a_host_that_hangs_holds_up_no_other(hosts: FakeHosts, shell: OpenSsh) -> None:
    known = hosts.slice(*(f"127.0.0.{number}" for number in (11, 12, 13))).hosts
    hosts.hosts["127.0.0.11"].fault("hang")
    others = threading.Semaphore(0)

    def ask(host: Host) -> str:
        if host.number == 0:  # gives up only when the others have their answers
            assert others.acquire(timeout=60) and others.acquire(timeout=60)
        done = shell.run(host, "echo it", timeout=60 if host.number else 0.2).out.decode()
        others.release()
        return done

    first, *rest = on_all(known, ask)
    assert isinstance(first, Unanswered)
    assert rest == ["it\n", "it\n"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """OpenSSH's own server and client, and a home that is not this person's."""
    daemon, client = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"), shutil.which("ssh")
    if daemon is None or client is None:
        pytest.skip("OpenSSH's server is not installed here")
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    for name in ("machine", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/machine\nAuthorizedKeysFile {tmp_path}/person.pub\n"
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nSetEnv HOME={home}\n"
        f'ForceCommand cd {home} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {client} -F none -p {port} "$@"\n')
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    running = subprocess.Popen([daemon, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.PIPE)
    yield home
    running.terminate()
    running.communicate()


@pytest.mark.services
def test_a_real_server_is_spoken_to(server: Path, tmp_path: Path) -> None:
    here = Host(0, "127.0.0.1")
    person = OpenSsh(getpass.getuser(), tmp_path / "known hosts", tmp_path / "person")
    until(lambda: answers(person, here))
    done = person.run(here, "pwd; exit 7")
    assert (done.code, done.out.decode().strip()) == (7, str(server))
    content = bytes(range(256)) * 40_000
    person.put(here, content, "a folder/file", mode=0o600)
    assert (server / "a folder" / "file").read_bytes() == content
    stream = person.stream(here, "echo first; until [ -e go ]; do sleep 0.05; done; echo last")
    assert next(stream) == b"first\n"
    (server / "go").touch()
    assert next(stream) == b"last\n"
    left = person.stream(here, "echo begun; until [ -e later ]; do sleep 0.05; done; touch ended")
    assert next(left) == b"begun\n"
    left.close()
    (server / "later").touch()
    until((server / "ended").exists)  # it went on without its client
    with pytest.raises(Denied, match="Permission denied"):
        OpenSsh(getpass.getuser(), tmp_path / "known hosts", tmp_path / "machine").run(here, "true")


def answers(shell: OpenSsh, host: Host) -> bool:
    try:
        return shell.run(host, "true").code == 0
    except Unanswered:
        return False


def test_without_a_client_a_sentence_says_what_to_install(
    shell: OpenSsh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="install OpenSSH's client"):
        shell.run(HOST, "true")
