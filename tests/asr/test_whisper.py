from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rosella.asr.recogniser import Recogniser
from rosella.asr.whisper import byte_tokenizer

TOKENIZER = byte_tokenizer(["en", "nl"])


def test_a_tag_is_one_token_and_a_letter_one_a_byte():
    assert TOKENIZER("[S1] é", add_special_tokens=False).input_ids == [256, 32, *"é".encode()]


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
def test_every_text_comes_back(text):
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    if "<|" not in text:
        assert TOKENIZER.decode(ids) == text


def test_a_saved_recogniser_is_the_same(tiny: Recogniser, tmp_path):
    tiny.change(languages={"fy": "nl"})
    tiny.save(tmp_path)
    loaded = Recogniser.load(tmp_path, "cpu")
    assert loaded.settings == tiny.settings and loaded.kinds == ("verbatim", "clean")
    assert loaded.prompt("verbatim", "fy") == tiny.prompt("verbatim", "nl")
    assert loaded.text_ids("[S2] Uh, ja.") == tiny.text_ids("[S2] Uh, ja.")
    assert loaded.window == 2
    for name, value in tiny.model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value, rtol=0, atol=0)


def test_special_tokens_are_all_different(tiny: Recogniser):
    prompts = [tiny.prompt(kind, language) for kind in ("verbatim", "clean") for language in ("en", "nl")]
    assert len({tuple(prompt) for prompt in prompts}) == 4
    assert len({*prompts[0], tiny.end, tiny.no_speech}) == 6


def test_an_unknown_language_names_the_way_out(tiny: Recogniser):
    with pytest.raises(Exception, match="stand in for it"):
        tiny.prompt("verbatim", "fy")
