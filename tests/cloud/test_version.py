"""The wheel that every host is given, from a file or a commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rosella.cloud.version import version_of_commit, version_of_wheel
from rosella.errors import UserError

BACKEND = """
import zipfile

def build_wheel(directory, settings=None, metadata=None):
    name = "rosella_tts-0.3-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\\nName: rosella-tts\\nVersion: 0.3\\n"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("words"), open("words").read())
        wheel.writestr(zipfile.ZipInfo("rosella_tts-0.3.dist-info/METADATA"), metadata)
        wheel.writestr(zipfile.ZipInfo("rosella_tts-0.3.dist-info/WHEEL"), "Wheel-Version: 1.0\\n")
    return name
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With two commits, which make themselves into wheels without any other package."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (folder / "backend.py").write_text(BACKEND)
    git(folder, "init", "--quiet")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    for words in ("first", "second"):
        (folder / "words").write_text(words)
        (folder / "constraints.txt").write_text(f"{words}==1\n")
        git(folder, "add", "--all")
        git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", words)
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout


def test_a_wheel_brings_the_constraints_beside_it(tmp_path: Path) -> None:
    wheel = tmp_path / "rosella_tts-0.2.1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    alone = version_of_wheel(wheel)
    (tmp_path / "constraints.txt").write_bytes(b"numpy==2.0\n")
    pinned = version_of_wheel(wheel)
    assert (alone.constraints, pinned.constraints) == (b"", b"numpy==2.0\n")
    assert alone.wheel == pinned.wheel == b"wheel" and alone.sha256 == pinned.sha256
    assert alone.name.startswith("0.2.1-") and alone.name != pinned.name


@pytest.mark.parametrize("name", ["rosella.tar.gz", "rosella.whl", "none-1-py3-none-any.whl"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, name: str) -> None:
    if name != "none-1-py3-none-any.whl":
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"{name} is no wheel"):
        version_of_wheel(tmp_path / name)


def test_a_commit_becomes_a_wheel_with_the_constraints_of_that_commit(repository: Path) -> None:
    version = version_of_commit(str(repository), git(repository, "rev-parse", "HEAD~1").strip())
    assert version.wheel_name == "rosella_tts-0.3-py3-none-any.whl"
    assert b"first" in version.wheel and version.constraints == b"first==1\n"


@pytest.mark.parametrize(
    ("address", "commit"), [("{}", "0" * 40), ("{}/none", "HEAD"), ("--upload-pack=x", "HEAD")]
)
def test_a_commit_that_is_not_there_is_one_sentence(repository: Path, address: str, commit: str) -> None:
    with pytest.raises(UserError, match="No wheel could be made .*look whether its address and commit"):
        version_of_commit(address.format(repository), commit)
