"""Versions in the bucket of a pod, so that any machine can bring a new slice what the old one had."""

from __future__ import annotations

from typing import Any

import fsspec

from rosella.cloud.version import Version
from rosella.errors import RosellaError


def keep_version(home: str, version: Version) -> None:
    """Leave a version in the bucket; one that is there is the same bytes."""
    files, folder = _folder(home, version.name)
    files.makedirs(folder, exist_ok=True)
    files.pipe_file(f"{folder}/constraints.txt", version.constraints)
    files.pipe_file(f"{folder}/{version.wheel_name}", version.wheel)


def kept_version(home: str, name: str) -> Version:
    """The inverse; RosellaError where it is not there, or no longer what it was."""
    files, folder = _folder(home, name)
    try:
        (wheel,) = (each for each in files.ls(folder, detail=False) if each.endswith(".whl"))
        constraints = files.cat_file(f"{folder}/constraints.txt")
        version = Version(wheel.rpartition("/")[2], files.cat_file(wheel), constraints)
    except (FileNotFoundError, ValueError):
        raise RosellaError(
            f"The version {name} is no longer in {home}: `rosella tpu run` brings it again."
        ) from None
    if version.name != name:
        raise RosellaError(f"The version {name} in {home} is damaged: `rosella tpu run` brings it again.")
    return version


def _folder(home: str, name: str) -> tuple[Any, str]:
    return fsspec.core.url_to_fs(f"{home}/versions/{name}")
