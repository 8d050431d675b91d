from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from rosella.asr.recogniser import Recogniser, encode
from rosella.asr.whisper import new_recogniser
from rosella.errors import UserError


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    made = new_recogniser(32, 2, 2, 2, ["en", "nl"], 40, 3)
    for value in made.model.parameters():  # wide enough that the arg-max is no accident of rounding
        torch.nn.init.normal_(value, std=0.2)
    made.change(prompts={"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"})
    return made


def waves(*seconds: float) -> list[np.ndarray]:
    chance = np.random.default_rng(0)
    return [0.1 * chance.standard_normal(int(16_000 * length)).astype(np.float32) for length in seconds]


def test_the_encoder_is_that_of_transformers(recogniser):
    features = recogniser.features(waves(1.0, 2.0))
    assert features.shape == (2, 80, 200)
    expected = recogniser.model.model.encoder(features).last_hidden_state
    torch.testing.assert_close(encode(recogniser.model, features), expected)


def test_features_of_the_whole_window_are_those_of_transformers(recogniser):
    (wave,) = waves(1.5)
    expected = recogniser.extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
    torch.testing.assert_close(recogniser.features([wave]), expected)


def test_greedy_transcripts_are_those_of_transformers(recogniser):
    """Rows end at different tokens, so this also tries the dropping of rows that have ended."""
    states = recogniser.encode(recogniser.features(waves(0.5, 1.0, 1.5, 2.0)))
    prompts = [recogniser.prompt("verbatim", name) for name in ("en", "nl", "en", "nl")]
    never, _ = recogniser._forbidden(torch.device("cpu"))
    expected = recogniser.model.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        decoder_input_ids=torch.tensor(prompts),
        max_length=40,
        do_sample=False,
        suppress_tokens=torch.nonzero(never == -torch.inf)[:, 0].tolist(),
        begin_suppress_tokens=None,
    )
    for row, ids in zip(recogniser.write(states, prompts), expected.tolist(), strict=True):
        said = [token for token in ids if token < 260]
        assert list(row.ids)[: len(said)] == said


def test_a_row_is_the_same_alone_and_in_a_batch(recogniser):
    states = recogniser.encode(recogniser.features(waves(0.5, 1.0, 2.0)))
    prompt = recogniser.prompt("clean", "en")
    together = recogniser.write(states, [prompt] * 3)
    for number, row in enumerate(together):
        (alone,) = recogniser.write(states[number : number + 1], [prompt])
        assert alone.ids == row.ids
        assert alone.log_probability == pytest.approx(row.log_probability, abs=1e-3)


def test_a_row_that_has_ended_waits_unchanged_for_the_others(recogniser, monkeypatch):
    """Rows end after 1, 3, 35 and never; the chances of what is heard decide what else is written."""
    states = recogniser.encode(recogniser.features(waves(0.5, 1.0, 1.5, 2.0)))
    ends, heard, steps = {1: 0, 3: 1, 35: 2}, recogniser._logits, iter(range(1, 99))

    def logits(ids, now, cache):
        made, step = heard(ids, now, cache), next(steps)
        made[..., recogniser.end] = -1e4
        if step in ends:
            place = [torch.equal(row, states[ends[step]]) for row in now].index(True)
            made[place, -1, recogniser.end] = 1e4
        return made

    monkeypatch.setattr(recogniser, "_logits", logits)
    rows = recogniser.write(states, [recogniser.prompt("verbatim", "en")] * 4)
    assert [(len(row.ids), row.ended) for row in rows] == [(0, True), (2, True), (34, True), (36, False)]
    assert rows[0].log_probability == pytest.approx(0, abs=1e-6)


def test_a_text_is_weighed_as_if_it_had_been_written(recogniser, monkeypatch):
    states = recogniser.encode(recogniser.features(waves(1.0)))
    prompt, ended = recogniser.prompt("clean", "en"), recogniser._logits

    def logits(ids, now, cache, steps=1):
        """The end is the likeliest behind eight tokens."""
        made = ended(ids, now, cache, steps)
        made[..., recogniser.end] = -1e4
        made[:, -1, recogniser.end] *= -1 if cache is None or cache.get_seq_length() >= 12 else 1
        return made

    monkeypatch.setattr(recogniser, "_logits", logits)
    (row,) = recogniser.write(states, [prompt])
    monkeypatch.setattr(recogniser, "text_ids", lambda text: list(row.ids))
    weighed = recogniser.weigh(states, prompt, "")
    assert (weighed.ids, weighed.ended) == (row.ids, row.ended)
    assert weighed.log_probability == pytest.approx(row.log_probability, abs=1e-3)
    monkeypatch.setattr(recogniser, "text_ids", lambda text: list(range(36)))
    assert recogniser.weigh(states, prompt, "").log_probability == -np.inf, "it has no room for that"


def test_no_special_token_is_written(recogniser):
    states = recogniser.encode(recogniser.features(waves(1.0)))
    assert all(token < 260 for token in recogniser.write(states, [recogniser.prompt("clean", "nl")])[0].ids)


def test_the_window_is_cut_only_where_the_recogniser_learnt_that(recogniser):
    try:
        assert recogniser.width(8_000) == 200
        recogniser.change(short_windows=True)
        assert recogniser.width(8_000) == 100
        assert recogniser.width(16_001) == 200
    finally:
        recogniser.change(short_windows=False)
    with pytest.raises(UserError, match="do not fit"):
        recogniser.width(33_000)


def test_a_whisper_of_others_writes_clean_transcripts(recogniser):
    plain = new_recogniser(32, 1, 1, 2, ["en"], 40, 0)
    assert plain.kinds == ("clean",)
    with pytest.raises(UserError, match="no verbatim"):
        plain.prompt("verbatim", "en")


def test_encoders_are_compared_by_their_weights(recogniser):
    one, other = (new_recogniser(32, 1, 1, 2, ["en"], 40, seed) for seed in (0, 1))
    twin = new_recogniser(32, 1, 1, 2, ["en"], 40, 0)
    torch.nn.init.zeros_(twin.model.model.decoder.embed_tokens.weight)
    assert one.hears_like(twin)
    assert not one.hears_like(other)


def test_a_folder_without_a_recogniser_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        Recogniser.load(tmp_path)
