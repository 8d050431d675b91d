"""`rosella doctor` tells the truth about this machine, and fails when something required does."""

from __future__ import annotations

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from rosella.cli import doctor
from support import rosella


def test_the_report_names_this_machine_and_ends_as_it_says() -> None:
    done = rosella("doctor", "--json")
    report = json.loads(done.stdout)
    facts = {check["name"]: check for checks in report["sections"].values() for check in checks}
    assert done.returncode == (0 if report["ok"] else 1)
    assert facts["Python"]["value"] == platform.python_version()
    assert facts["JAX"]["value"].startswith("cpu: ")
    assert facts["PyTorch"]["state"] == "ok"
    assert facts["torch"]["value"] == metadata.version("torch")


def test_a_required_package_that_is_missing_or_too_old_is_broken_with_its_fix() -> None:
    missing = doctor._package(Requirement("rosella-no-such-package>=3"))
    assert (missing.state, missing.value) == ("broken", "not installed")
    assert missing.fix is not None
    assert missing.fix.endswith("pip install 'rosella-no-such-package>=3'")
    old = doctor._package(Requirement("numpy>=999"))
    assert old.state == "broken"
    assert "but >=999 is needed" in old.value
    assert doctor._package(Requirement("numpy>=1")).state == "ok"


def test_an_extra_of_an_extra_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`jax` alone does not satisfy `jax[tpu]`."""
    needs = {"jax": ["numpy", "no-such-libtpu; extra == 'tpu'"], "numpy": []}
    monkeypatch.setattr(doctor.metadata, "requires", needs.get)
    assert doctor._satisfied(Requirement("jax"))
    assert not doctor._satisfied(Requirement("jax[tpu]"))
    assert [str(r.name) for r in doctor._requirements("jax", "tpu")] == ["no-such-libtpu"]


def test_a_library_that_does_not_load_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        if name == "av":
            raise ImportError("libx.so:\n not found")

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=load))
    monkeypatch.setattr(doctor, "_jax_devices", lambda: "cpu")
    monkeypatch.setattr(doctor, "_torch_device", lambda: "cpu")
    broken = [check for check in doctor.devices() if check.state == "broken"]
    assert [(check.name, check.value) for check in broken] == [("av", "does not load: libx.so: not found")]


def test_little_free_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    check = doctor._disk("Disk", tmp_path / "not" / "there" / "yet")
    assert check.state == "warning"
    assert check.value.startswith("3.0 MB free")


def test_a_broken_part_ends_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sick = {"Machine": lambda: [doctor.Check("Python", "2.7", "broken", "Install [new] Python.")]}
    monkeypatch.setattr(doctor, "SECTIONS", sick)
    with pytest.raises(doctor.typer.Exit) as stop:
        doctor.doctor(as_json=False)
    assert stop.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "Install [new] Python." in shown
    assert "Not ready: Python." in shown


@pytest.mark.parametrize(
    ("beside", "said"),
    [(None, []), ("cuda", ["JAX 88% of each card, PyTorch the rest"]), ("cpu", ["PyTorch the CPU"])],
)
def test_who_gets_what_of_a_card_is_said(
    monkeypatch: pytest.MonkeyPatch, beside: str | None, said: list[str]
) -> None:
    monkeypatch.setenv(doctor.SAID[0], "0.875")
    monkeypatch.setattr(doctor, "share_card", lambda: beside)
    found = [check.value for check in doctor.devices() if check.name == "Sharing"]
    assert len(found) == len(said) and all(part in value for part, value in zip(said, found, strict=True))
