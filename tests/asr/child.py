"""Train a recipe in a run directory and be killed while at it: `child.py RECIPE RUN [STEP TO DIE AFTER]`."""

from __future__ import annotations

import os
import signal
import sys

import torch

from rosella.asr.recipe import AsrRecipe
from rosella.asr.run import AsrRun
from rosella.asr.train import train
from rosella.recipes import load_recipe


def main() -> None:
    torch.set_num_threads(1)
    recipe, run, *deadly = sys.argv[1:]

    def report(values: dict) -> None:
        if deadly and values.get("split") == "train" and values["step"] == int(deadly[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    with AsrRun.locked(run) as directory:
        train(load_recipe(AsrRecipe, recipe), directory, report)


if __name__ == "__main__":
    main()
