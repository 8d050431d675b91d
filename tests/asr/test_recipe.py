"""Every recipe for a recogniser can be read, and those for production work on a small Whisper of that kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser
from rosella.asr.run import AsrRun
from rosella.asr.train import train
from rosella.recipes import load_recipe
from support import ROOT

RECIPES = sorted((ROOT / "recipes").glob("asr-*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_is_valid_and_says_how_it_is_run(path: Path):
    load_recipe(AsrRecipe, path)
    assert f"rosella asr train recipes/{path.name}" in path.read_text("utf-8")


@pytest.mark.parametrize("name", ["asr-large", "asr-large-full"])
def test_it_trains_a_small_whisper(name, tones, tiny, tmp_path):
    tiny.change(prompts={"clean": "<|transcribe|>"})
    tiny.model.generation_config.suppress_tokens = tiny.text_ids("([")  # as those of Whisper do
    tiny.save(tmp_path / "whisper")
    changes = [
        f"model.weights={tmp_path / 'whisper'}",
        f"examples=[{tones}]",
        "steps=2",
        "optimizer.warmup=1",
    ]
    changes += ["batch_size=4", "micro_batch=2", "precision=float32", "optimizer.decay=0"]
    recipe = load_recipe(AsrRecipe, ROOT / "recipes" / f"{name}.yaml", changes)
    with AsrRun.locked(tmp_path / "run") as run:
        assert train(recipe, run).finished
    made = Recogniser.load(tmp_path / "run" / "model", "cpu")
    assert not made.model.generation_config.suppress_tokens, "or it could write neither tags nor events"
    assert made.kinds == ("verbatim",) and made.languages["vl"] == made.languages["nl"]


def test_a_recogniser_goes_on_from_what_it_was(tones, tiny, tmp_path):
    tiny.change(prompts={"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"}, languages={"vl": "nl"})
    tiny.save(tmp_path / "trained")
    changes = [
        f"model.weights={tmp_path / 'trained'}",
        f"examples=[{tones}]",
        "steps=2",
        "optimizer.warmup=1",
    ]
    changes += ["batch_size=4", "micro_batch=2", "precision=float32"]
    recipe = load_recipe(AsrRecipe, ROOT / "recipes" / "asr-corrected.yaml", changes)
    with AsrRun.locked(tmp_path / "run") as run:
        assert train(recipe, run).finished
    made = Recogniser.load(tmp_path / "run" / "model", "cpu")
    assert made.settings.prompts == tiny.settings.prompts
    assert made.languages["vl"] == made.languages["nl"]
