"""The run directory of a speaking model's training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rosella.recipes import RunRecipe
from rosella.runs import Run
from rosella.training import hosts
from rosella.training import state as checkpoints
from rosella.weights.card import CARD


class TrainingRun(Run):
    """With `samples/`: what the model said while it learnt, `compiled/`: the programs of its steps, `best`, a link
    to the checkpoint of `keep_best`, and the model's card.

    Several processes share it; what they all say is written once.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.samples, self.compiled = self.path / "samples", self.path / "compiled"
        self.card = self.path / CARD

    def writes(self) -> bool:
        return hosts.first()

    def begin(self, recipe: RunRecipe) -> None:
        self.check(recipe)
        if self.writes():
            super().begin(recipe)

    def remember(self, recordings: Iterable[str]) -> None:
        if self.writes():
            super().remember(recordings)

    def record(self, values: dict[str, Any]) -> None:
        if self.writes():
            super().record(values)

    def log(self, sentence: str) -> None:
        if self.writes():
            super().log(sentence)

    def forget_after(self, step: int) -> None:
        if self.writes():
            super().forget_after(step)

    def steps(self) -> list[int]:
        return checkpoints.steps(self.checkpoints)
