"""The run directory of a speaking model's training."""

from __future__ import annotations

from pathlib import Path

from rosella.runs import Run
from rosella.training import state as checkpoints


class TrainingRun(Run):
    """With `samples/`: what the model said while it learnt."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.samples = self.path / "samples"

    def steps(self) -> list[int]:
        return checkpoints.steps(self.checkpoints)
