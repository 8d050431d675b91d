"""Train a recipe in a run directory and be killed while at it: `child.py RECIPE RUN [STEP TO DIE AFTER]`."""

from __future__ import annotations

import os
import signal
import sys

import torch

from rosella.asr.recipe import AsrRecipe
from rosella.asr.run import AsrRun
from rosella.asr.train import train
from rosella.config import load_recipe_of


def main() -> None:
    torch.set_num_threads(1)
    recipe, run, *deadly = sys.argv[1:]

    def report(values: dict) -> None:
        if deadly and values.get("split") == "train" and values["step"] == int(deadly[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    with AsrRun.locked(run) as directory:
        train(load_recipe_of(AsrRecipe, recipe), directory, report)


if __name__ == "__main__":
    main()
