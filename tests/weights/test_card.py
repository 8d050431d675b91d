"""A card is found where its model lies, and passed on whole."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from rosella.weights.card import find_card, headed, passed_on

SOURCE = headed("# Frisian\n\n## Data\n| 3.00 | CC0 |", license="cc0-1.0", language=["fy"])


def test_a_card_is_read_by_the_hub():
    card = ModelCard(SOURCE)
    assert card.data.license == "cc0-1.0" and card.data.language == ["fy"]
    assert card.text.strip() == "# Frisian\n\n## Data\n| 3.00 | CC0 |"


def test_what_is_converted_keeps_its_card():
    card = ModelCard(passed_on(SOURCE, "new", "transformers", "## Converted", "## Without"))
    assert card.data.license == "cc0-1.0" and card.data.library_name == "transformers"
    assert "| 3.00 | CC0 |" in card.text and card.text.strip().endswith("## Converted\n\n## Without")


def test_where_nobody_said_anything_the_card_says_so():
    card = ModelCard(passed_on(None, "new", "rosella"))
    assert card.data.license == "unknown" and card.data.pipeline_tag == "text-to-speech"
    assert "their licences and consents: not said" in card.text


@pytest.mark.parametrize("source", ["no head", "---\n: [\n---\nbroken head", "---\n- a list\n---\ntext"])
def test_cards_of_others_are_passed_on_whatever_they_are(source):
    card = passed_on(source, "new", "rosella")
    assert source.splitlines()[-1] in card and ModelCard(card).data.library_name == "rosella"


def test_a_checkpoint_has_the_card_of_its_run(tmp_path):
    (tmp_path / "checkpoints" / "00000008").mkdir(parents=True)
    (tmp_path / "weights.pth").touch()
    assert find_card(tmp_path / "checkpoints" / "00000008") is None
    (tmp_path / "README.md").write_text(SOURCE)
    for path in (tmp_path, tmp_path / "weights.pth", tmp_path / "checkpoints" / "00000008"):
        assert find_card(path) == SOURCE
