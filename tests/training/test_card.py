"""A model's card says whose speech it learnt from and by whose leave, as the export says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from rosella.shards.format import UNTOLD, Weight, write_export, write_shard
from rosella.shards.read import Export
from rosella.training.card import describe
from rosella.weights.card import headed
from training import tiny

SYNTHETIC = {"language": "nl", "licence": "CC0-1.0", "consent": "synthetic"}


def export(directory: Path, recordings=UNTOLD) -> Export:
    rows = [tiny.utterance(number) for number in range(3)]
    entry = {
        **write_shard(directory / "shards" / "one.parquet", rows, tiny.CODEC),
        "recordings": {"rec": "key"},
    }
    write_export(directory, tiny.CODEC, [entry], {u.id: Weight() for u, _ in rows}, recordings)
    return Export.open(directory)


def card(directory: Path, recordings=UNTOLD, **changes) -> ModelCard:
    known = export(directory / "corpus", recordings)
    return ModelCard(describe(tiny.recipe(known.directory, **changes), known, directory / "runs" / "frisian"))


def test_data_are_summed_by_what_may_be_done_with_them(tmp_path):
    found = card(
        tmp_path,
        {
            "a": {"seconds": 3600.0, **SYNTHETIC},
            "b": {"seconds": 1800.0, **SYNTHETIC},
            "c": {
                "seconds": 36000.0,
                "language": "fy",
                "licence": "CC-BY-4.0",
                "consent": "yes | all\nof us",
            },
        },
    )
    assert found.data.license == "other" and found.data.language == ["fy", "nl"]
    assert found.data.pipeline_tag == "text-to-speech" and found.data.library_name == "rosella"
    rows = [line for line in found.text.splitlines() if line.startswith("| 1")]
    assert rows == [
        "| 10.00 | 1 | fy | CC-BY-4.0 | yes \\| all of us |",
        "| 1.50 | 2 | nl | CC0-1.0 | synthetic |",
    ]
    assert found.text.strip().startswith("# frisian\n") and "3 utterances. Speakers: not said." in found.text


def test_a_licence_that_all_share_is_in_the_head(tmp_path):
    assert card(tmp_path, {"a": {"seconds": 1.0, **SYNTHETIC}}).data.license == "cc0-1.0"


def test_what_an_export_does_not_say_is_not_said(tmp_path):
    found = card(tmp_path)
    assert found.data.license == "unknown" and found.data.language is None
    assert "| 0.00 | 1 | not said | not said | not said |" in found.text


def test_how_it_was_trained(tmp_path):
    text = card(tmp_path).text
    assert "- Began with: random weights of the shape mini\n- Steps: 8\n- Seed: 0\n" in text
    assert "adamw, learning rate 0.01" in text and str(tmp_path) not in text


@pytest.mark.parametrize("carded", [True, False])
def test_the_card_of_the_model_it_began_with_is_part_of_it(tmp_path, carded):
    (tmp_path / "base").mkdir()
    if carded:
        (tmp_path / "base" / "README.md").write_text(headed("# base\n\n## Data\nof Anna", license="mit"))
    text = card(tmp_path, model={"weights": str(tmp_path / "base")}).text
    assert "- Began with: base\n" in text
    assert ("## The model it began with\n### base\n\n#### Data\nof Anna" in text) == carded
