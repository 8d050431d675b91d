"""A version and a job on all hosts of a slice or on none, and what may happen on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloud.fake_ssh import FakeHost, FakeHosts, until
from cloud.jobs import PATIENT, VERSION, a_job, all_up, install, states
from rosella.cloud.hosts import BadHost, Denied, Done, NotReady, OpenSsh, Unanswered
from rosella.cloud.launch import Job, follow, look, prepare, read_secrets, start, stop
from rosella.cloud.slices import Host, Slice
from rosella.cloud.version import version_of_wheel
from rosella.errors import UserError

METADATA = (
    "Metadata-Version: 2.1\nName: rosella-tts\nVersion: 0.3\nProvides-Extra: tpu\nProvides-Extra: cloud\n"
)
WHEEL = f"path=rosella/{VERSION.name}/{VERSION.wheel_name}"
ADDRESSES = tuple(f"127.0.0.{number}" for number in (11, 12, 13, 14))


@dataclass(frozen=True)
class Hasty(OpenSsh):
    """Has no patience with a host that is known to hang."""

    hung: str = ""

    def run(self, host: Host, command: str, stdin: bytes = b"", timeout: float = 60) -> Done:
        return super().run(host, command, stdin, 0.3 if host.address == self.hung else timeout)


@pytest.fixture
def four(hosts: FakeHosts) -> Slice:
    return hosts.slice(*ADDRESSES)


@pytest.fixture
def two(hosts: FakeHosts) -> Slice:
    return hosts.slice(*ADDRESSES[:2])


@pytest.fixture
def shell(hosts: FakeHosts) -> OpenSsh:
    return hosts.shell()


def times(host: FakeHost) -> int:
    """How often the job began there."""
    path = host.rosella / "work" / "times"
    return path.read_text().count("begun") if path.exists() else 0


def make_busy(host: FakeHost) -> subprocess.Popen[bytes]:
    """A chip of this host is taken by somebody; like such a chip, a program that runs cannot be opened to be written."""
    chip = host.chips / "0"
    shutil.copy("/bin/sleep", chip)
    return subprocess.Popen([chip, "3600"])


# Versions and secrets


def test_every_host_gets_the_same_version_once(hosts: FakeHosts, four: Slice, shell: OpenSsh) -> None:
    install(shell, four)
    prepare(shell, four, VERSION, {})
    for host in hosts.hosts.values():
        home = host.rosella / VERSION.name
        assert (home / VERSION.wheel_name).read_bytes() == VERSION.wheel
        assert (home / "constraints.txt").read_bytes() == VERSION.constraints
        assert host.asked().count(WHEEL) == 1


def test_another_wheel_or_other_constraints_are_another_version() -> None:
    names = {VERSION.name, replace(VERSION, wheel=b"x").name, replace(VERSION, constraints=b"").name}
    assert len(names) == 3


@pytest.mark.slow
def test_a_version_is_installed_by_a_real_python(hosts: FakeHosts, shell: OpenSsh, tmp_path: Path) -> None:
    wheel = tmp_path / "rosella_tts-0.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("rosella/__main__.py", "print('it runs')")
        archive.writestr("rosella_tts-0.3.dist-info/METADATA", METADATA)
        archive.writestr("rosella_tts-0.3.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("rosella_tts-0.3.dist-info/RECORD", "")
    version, one = version_of_wheel(wheel), hosts.slice(ADDRESSES[0])
    hosts.hosts[ADDRESSES[0]].set_python(f'exec {sys._base_executable} "$@"')  # pyright: ignore
    hosts.hosts[ADDRESSES[0]].set_environment(PYTHONPATH="", PIP_NO_INDEX=1)
    install(shell, one, version=version)
    job = Job("1", version.name, "python -m rosella")
    start(shell, one, job)
    until(lambda: states(shell, one, job) == ["ended"])
    assert look(shell, one, job)[0].tail == b"it runs\n"


def test_a_wheel_that_arrives_damaged_is_not_installed_and_is_sent_again(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    hosts.hosts[ADDRESSES[1]].fault("damage", WHEEL)
    with pytest.raises(NotReady, match=r"Host 1 .*arrived damaged"):
        install(shell, two)
    install(shell, two)
    assert (
        hosts.hosts[ADDRESSES[1]].rosella / VERSION.name / VERSION.wheel_name
    ).read_bytes() == VERSION.wheel


def test_an_installation_that_breaks_off_is_begun_anew_and_goes_on_without_us(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    first = hosts.hosts[ADDRESSES[0]]
    first.fault("drop-within", " install ")
    with pytest.raises(Unanswered):
        prepare(shell, two, VERSION, {})
    install(shell, two)


def test_an_installation_that_fails_says_why_and_is_tried_again(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    second = hosts.hosts[ADDRESSES[1]]
    second.set_python("case $* in *ensurepip*) ;; *) echo the index is away >&2; exit 1 ;; esac")
    with pytest.raises(NotReady, match=r"Host 1 .*installing failed: the index is away"):
        install(shell, two)
    second.set_python()
    install(shell, two)


def test_a_host_without_python_says_what_to_do(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    hosts.hosts[ADDRESSES[1]].set_python("exit 127")
    with pytest.raises(NotReady, match=r"Host 1 .*Python 3.11 or 3.12 .*another runtime image"):
        install(shell, two)


def test_a_host_with_other_packages_is_told(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    (hosts.hosts[ADDRESSES[1]].home / "other-packages").write_text("numpy==1.0\n")
    with pytest.raises(BadHost, match=r"Host 1 .*other versions of packages"):
        install(shell, two)


def test_a_full_disk_is_bad(hosts: FakeHosts, two: Slice, shell: OpenSsh, small_disk: Path) -> None:
    (hosts.hosts[ADDRESSES[1]].home / "rosella").symlink_to(small_disk)
    big = replace(VERSION, wheel=bytes(3 << 20))
    with pytest.raises(BadHost, match=r"Host 1 .*No space left on device"):
        prepare(shell, two, big, {})


def test_a_disk_that_fills_while_something_is_installed_is_bad(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    hosts.hosts[ADDRESSES[0]].set_python("echo OSError: No space left on device; echo and more; exit 1")
    with pytest.raises(BadHost, match=r"Host 0 .*the disk is full"):
        install(shell, two)


def test_a_home_that_cannot_be_written_is_bad(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    hosts.hosts[ADDRESSES[0]].rosella.write_text("a file where a folder belongs")
    with pytest.raises(BadHost, match=r"Host 0 .*cannot write rosella/host.sh"):
        prepare(shell, two, VERSION, {})


def test_secrets_come_by_file_for_their_owner_alone_and_stand_in_no_command(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two, {"key.json": b"s3cret-words"})
    start(shell, two, a_job("cat ~/rosella/secrets/key.json | wc -c; echo up"))
    for host in hosts.hosts.values():
        secret = host.rosella / "secrets" / "key.json"
        assert secret.read_bytes() == b"s3cret-words"
        assert secret.stat().st_mode & 0o777 == 0o600 and secret.parent.stat().st_mode & 0o777 == 0o700
        assert "s3cret" not in host.asked()
        holders = [path for path in host.home.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
        assert holders == [secret]


def test_a_secret_that_others_could_read_is_left_nowhere(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    second = hosts.hosts[ADDRESSES[1]]
    second.set_program("chmod", 'exec /bin/chmod 644 "$2"')  # as on a file system that keeps no modes
    with pytest.raises(BadHost, match=r"Host 1 .*others can read .*key.json"):
        install(shell, two, {"key.json": b"s3cret"})
    assert not (second.rosella / "secrets").exists()


def test_only_secrets_that_are_kept_as_such_are_read(tmp_path: Path) -> None:
    good, other = tmp_path / "key", tmp_path / "more" / "key"
    other.parent.mkdir()
    for path in (good, other):
        path.write_bytes(b"x")
        path.chmod(0o600)
    assert read_secrets([good]) == {"key": b"x"}
    with pytest.raises(UserError, match="Two secrets are named key"):
        read_secrets([good, other])
    with pytest.raises(UserError, match="is not there"):
        read_secrets([tmp_path / "none"])
    good.chmod(0o640)
    with pytest.raises(UserError, match="Others on this machine can read .*chmod 600"):
        read_secrets([good])


# All or none


def test_a_job_runs_once_on_every_host_with_its_environment(
    hosts: FakeHosts, four: Slice, shell: OpenSsh
) -> None:
    install(shell, four)
    command = 'echo begun >> times; echo "$GREETING" "$JAX_COORDINATOR_ADDRESS" "$JAX_NUM_PROCESSES" "$JAX_PROCESS_ID"; pwd'
    job = replace(a_job(), command=command, environment={"GREETING": "it's  I"}, coordinator=1234)
    start(shell, four, job)
    start(shell, four, job)
    until(lambda: states(shell, four, job) == ["ended"] * 4)
    told = look(shell, four, job)
    for number, (host, each) in enumerate(zip(hosts.hosts.values(), told, strict=True)):
        said, where = each.tail.decode().splitlines()
        assert said == f"it's  I {ADDRESSES[0]}:1234 4 {number}"
        assert Path(where) == host.rosella / "work"
        assert times(host) == 1 and each.size == len(each.tail)


def test_the_programs_of_the_version_come_first(two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    start(shell, two, replace(a_job(), command="command -v rosella"))
    until(lambda: states(shell, two, a_job()) == ["ended"] * 2)
    (told, _) = look(shell, two, a_job())
    assert told.tail.decode().endswith(f"{VERSION.name}/.venv/bin/rosella\n")


@pytest.mark.parametrize(
    ("fault", "on", "kind"),
    [("deny", "", Denied), ("refuse", " ready ", Unanswered), ("refuse", " begin ", Unanswered)],
)
def test_three_of_four_are_none(
    hosts: FakeHosts, four: Slice, shell: OpenSsh, fault: str, on: str, kind: type[NotReady]
) -> None:
    install(shell, four)
    third = hosts.hosts[ADDRESSES[2]]
    third.fault(fault, on, always=True)
    with pytest.raises(kind, match="Host 2 "):
        start(shell, four, a_job())
    third.mend()
    assert set(states(shell, four, a_job())) <= {"never", "ended"}
    until(lambda: not any(host.processes() for host in hosts.hosts.values()))


def test_an_order_to_begin_whose_answer_is_lost_is_given_again_and_nothing_runs_twice(
    hosts: FakeHosts, four: Slice, shell: OpenSsh
) -> None:
    install(shell, four)
    hosts.hosts[ADDRESSES[0]].fault("drop-after", " begin ")
    hosts.hosts[ADDRESSES[1]].fault("drop-within", " begin ")
    start(shell, four, a_job())
    all_up(shell, four, a_job())
    assert [times(host) for host in hosts.hosts.values()] == [1] * 4
    stop(shell, four, a_job(), grace=30)


def test_a_job_that_was_stopped_begins_on_no_host_that_was_away(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    hosts.hosts[ADDRESSES[1]].fault("refuse", " begin ", always=True)
    with pytest.raises(Unanswered):
        start(shell, two, a_job())
    hosts.hosts[ADDRESSES[1]].mend()
    with pytest.raises(NotReady, match="1 was stopped before it began"):
        start(shell, two, a_job())
    start(shell, two, a_job(name="2"))
    all_up(shell, two, a_job(name="2"))
    stop(shell, two, a_job(name="2"), grace=30)


def test_an_order_to_begin_that_comes_too_late_is_not_obeyed(two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    shell.put(two.hosts[0], b"echo up", "rosella/jobs/1/run")
    done = shell.run(two.hosts[0], "sh rosella/host.sh begin 1 1700000000")
    assert done.code == 4 and "too late" in done.error
    assert states(shell, two, a_job()) == ["never", "never"]


def test_clocks_that_are_days_apart_hinder_nothing_and_are_told(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    hosts.hosts[ADDRESSES[1]].shift_clock(-3 * 86400)
    install(shell, two)
    here, there = start(shell, two, a_job("echo up"))
    assert here - there == pytest.approx(3 * 86400, abs=300)
    until(lambda: states(shell, two, a_job()) == ["ended", "ended"])


def test_a_host_that_hangs_is_named_and_nothing_begins(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    hosts.hosts[ADDRESSES[1]].fault("hang", always=True)
    hasty = Hasty(shell.user, shell.known_hosts, hung=ADDRESSES[1])
    with pytest.raises(Unanswered, match="Host 1 .*no answer within"):
        start(hasty, two, a_job())
    assert states(hasty, two, a_job()) == ["never", "unanswered"]


def test_a_chip_that_is_taken_makes_a_host_bad_and_nothing_begins(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    taken = make_busy(hosts.hosts[ADDRESSES[1]])
    try:
        with pytest.raises(BadHost, match=r"Host 1 .*chips/0 cannot be used \(Text file busy\)"):
            start(shell, two, a_job())
        assert states(shell, two, a_job()) == ["never"] * 2
    finally:
        taken.kill()
        taken.wait()
    start(shell, two, a_job("echo up", name="2"))


def test_what_was_left_running_is_told_to_end_before_another_begins(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    start(shell, two, a_job())
    all_up(shell, two, a_job())
    with pytest.raises(NotReady, match="1 still runs, and was told to end"):
        start(shell, two, a_job(name="2"))
    until(lambda: states(shell, two, a_job()) == ["ended", "ended"])
    start(shell, two, a_job("echo up", name="2"))


# How it does, and its end


def test_a_job_that_is_told_to_stop_saves_and_its_own_code_is_told(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    start(shell, two, a_job(PATIENT.replace("exit 143", "exit 7")))
    all_up(shell, two, a_job())
    for each in stop(shell, two, a_job(), grace=30):
        assert (each.state, each.code) == ("ended", 7)
        assert each.tail.endswith(b"saving\nsaved\n")


def test_a_job_that_does_not_stop_is_ended(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    start(shell, two, a_job("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    all_up(shell, two, a_job())
    assert [(each.state, each.code) for each in stop(shell, two, a_job(), grace=0)] == [("ended", 137)] * 2
    until(lambda: not any(host.processes() for host in hosts.hosts.values()))


def test_a_host_that_hangs_does_not_keep_the_others_from_stopping(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    start(shell, two, a_job())
    all_up(shell, two, a_job())
    hosts.hosts[ADDRESSES[0]].fault("hang", always=True)
    hasty = Hasty(shell.user, shell.known_hosts, hung=ADDRESSES[0])
    first, second = stop(hasty, two, a_job(), grace=30)
    assert (first.state, second.state, second.code) == ("unanswered", "ended", 143)
    assert "no answer" in first.why


def test_a_job_ends_with_the_code_of_its_command(two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    start(shell, two, a_job("exit 2"))
    until(lambda: states(shell, two, a_job()) == ["ended", "ended"])
    assert [each.code for each in look(shell, two, a_job())] == [2, 2]


def test_a_job_killed_with_all_that_could_note_it_has_ended_without_a_code(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    start(shell, two, a_job())
    all_up(shell, two, a_job())
    hosts.hosts[ADDRESSES[0]].kill_all()
    until(lambda: states(shell, two, a_job()) == ["ended", "running"])
    assert look(shell, two, a_job())[0].code is None
    stop(shell, two, a_job(), grace=30)


@pytest.mark.parametrize("change", ["boot", "start"])
def test_another_process_of_the_same_number_is_not_the_job(
    hosts: FakeHosts, two: Slice, shell: OpenSsh, change: str
) -> None:
    install(shell, two)
    start(shell, two, a_job())
    noted = hosts.hosts[ADDRESSES[0]].rosella / "jobs" / "1" / "pid"
    pid, since, boot = noted.read_text().split()
    noted.write_text(f"{pid} {since} elsewhere\n" if change == "boot" else f"{pid} 1 {boot}\n")
    assert states(shell, two, a_job()) == ["ended", "running"]
    noted.write_text(f"{pid} {since} {boot}\n")
    stop(shell, two, a_job(), grace=30)


def test_a_host_that_is_away_is_told_as_such(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    assert states(shell, two, a_job()) == ["never", "never"]
    hosts.hosts[ADDRESSES[1]].die()
    first, second = look(shell, two, a_job())
    assert (first.state, second.state) == ("never", "unanswered")
    assert "refused" in second.why


def test_a_log_comes_live_and_whole_across_connections_that_break_off(
    hosts: FakeHosts, two: Slice, shell: OpenSsh
) -> None:
    install(shell, two)
    half_way = "[ $i -ne 150 ] || until [ -e go ]; do sleep 0.02; done"
    count = f"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; {half_way}; done"
    host, drops = hosts.hosts[ADDRESSES[0]], Counter()
    for size in (1, 7, 500, 600):  # all of them before line 150
        host.fault(f"cut-out-{size}", " follow ")
    start(shell, two, a_job(count))

    def again() -> bool:
        drops["again"] += 1
        return True

    got = b""
    for block in follow(shell, two.hosts[0], a_job(), again=again):
        got += block
        if b"line 150\n" in got:  # it was live: the job goes on only now
            (host.rosella / "work" / "go").touch()
    assert got.decode() == "".join(f"line {number + 1}\n" for number in range(300))
    assert drops["again"] == 4
    assert b"".join(follow(shell, two.hosts[0], a_job(), len(got) - 9)) == b"line 300\n"


def test_who_no_longer_wants_a_log_is_let_go(hosts: FakeHosts, two: Slice, shell: OpenSsh) -> None:
    install(shell, two)
    start(shell, two, a_job("echo up"))
    hosts.hosts[ADDRESSES[0]].die()
    assert list(follow(shell, two.hosts[0], a_job(), again=lambda: False)) == []
