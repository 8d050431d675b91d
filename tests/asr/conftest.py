from __future__ import annotations

from pathlib import Path

import pytest

from asr.tones import write_corpus
from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser
from rosella.asr.whisper import new_recogniser


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def recipe(tones: Path) -> AsrRecipe:
    """A run of six steps of a tiny recogniser."""
    return AsrRecipe.model_validate(
        {
            "model": {
                "new": {"width": 32, "encoder_layers": 1, "decoder_layers": 1, "seconds": 2, "max_tokens": 48}
            },
            "examples": [str(tones)],
            "transcripts": ["verbatim", "clean"],
            "short_windows": True,
            "dropout": 0.1,
            "silence": 0.2,
            "ctc": 0.5,
            "optimizer": {"lr": 1e-3, "schedule": "constant"},
            "batch_size": 4,
            "steps": 6,
            "precision": "float32",
            "workers": 1,
            "checkpoint": {"every": 2, "keep": 2},
            "evaluate": {"every": 3, "examples": 2},
            "log_every": 1,
        }
    )


@pytest.fixture
def tiny() -> Recogniser:
    made = new_recogniser(32, 1, 1, 2, ["en", "nl"], 48, 0)
    made.change(prompts={"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"})
    return made
