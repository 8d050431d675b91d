"""The run directory of a recogniser's training.

A checkpoint holds what is trained and the state of AdamW, as float32, in `checkpoints/<step>-<content>.safetensors`;
the hash of its content in its name tells a damaged one from a good one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from rosella.errors import UserError
from rosella.files import replacing
from rosella.records import content_id
from rosella.runs import Run, newest_intact


class AsrRun(Run):
    """With its checkpoints."""

    def steps(self) -> list[int]:
        return [_step(path) for path in self._saved()]

    def save(self, step: int, tensors: dict[str, torch.Tensor], data: str, keep: int) -> None:
        """Write a checkpoint, whole or not at all, and drop all but the newest `keep`."""
        with replacing(self.checkpoints / "new.safetensors") as temporary:
            save_file(
                {name: value.contiguous() for name, value in tensors.items()}, temporary, {"data": data}
            )
        new = self.checkpoints / "new.safetensors"
        new.rename(self.checkpoints / f"{step:08d}-{content_id(new)}.safetensors")
        for old in self._saved()[keep:]:
            old.unlink()

    def restore(self, data: str, note: Callable[[str], None]) -> tuple[int, dict[str, torch.Tensor]] | None:
        """The newest undamaged checkpoint, as (step, tensors); None when there is none at all.

        Damaged ones are noted. RosellaError when every one is damaged.
        """
        path = newest_intact(self._saved(), _damage, note)
        if path is None:
            return None
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("data") != data:
                raise UserError(
                    f"The examples changed since the run in {self.path} began: "
                    "bring the old ones back, or choose another directory with --run."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _step(path), tensors

    def _saved(self) -> list[Path]:
        return sorted(self.checkpoints.glob("*-*.safetensors"), reverse=True)


def _damage(path: Path) -> str | None:
    return None if content_id(path) == path.stem.split("-")[1] else "its content is not what was written"


def _step(path: Path) -> int:
    return int(path.stem.split("-")[0])
