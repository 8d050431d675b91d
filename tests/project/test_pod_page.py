"""docs/pod.md against `pod.yaml` as it is read, and the file that it shows."""

from __future__ import annotations

import re
import subprocess

import pytest

from rosella.cloud.pod import SSH, Budget, Pod, Source, load_pod
from support import ROOT

PAGE = (ROOT / "docs" / "pod.md").read_text("utf-8")
EXAMPLE = ROOT / "deploy" / "pod.yaml"
PARTS = {"budget": Budget, "source": Source, "ssh": SSH}


def test_every_key_stands_on_the_page_with_its_meaning() -> None:
    shown = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", PAGE, re.M))
    for name, field in Pod.model_fields.items():
        inner = PARTS[name].model_fields if name in PARTS else None
        wanted = {f"{name}.{key}": each for key, each in inner.items()} if inner else {name: field}
        for key, each in wanted.items():
            assert shown.get(key) == each.description, (
                f"{key} of pod.yaml means something else on docs/pod.md"
            )
    known = {
        *Pod.model_fields,
        *(f"{name}.{key}" for name, part in PARTS.items() for key in part.model_fields),
    }
    assert {key for key in shown if key.split(".")[0] in Pod.model_fields} <= known


def test_the_file_that_is_shown_is_one_and_its_command_is_shell() -> None:
    pod = load_pod(EXAMPLE)
    subprocess.run(["sh", "-n"], input=pod.command, text=True, check=True)
    assert pod.run and f"--run {pod.run}" in pod.command and pod.bucket in pod.command
    shown = re.search(r"```yaml\n(name: .*?)```", PAGE, re.S)
    whole = "".join(
        line for line in EXAMPLE.read_text("utf-8").splitlines(keepends=True) if not line.startswith("#")
    )
    assert shown and shown[1] == whole


@pytest.mark.parametrize("path", re.findall(r"`(tests/[\w/]+\.py)", PAGE))
def test_what_the_page_calls_proven_has_its_test(path) -> None:
    assert (ROOT / path).is_file()
