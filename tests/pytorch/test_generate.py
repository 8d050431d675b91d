"""Generations of PyTorch beside JAX's: the same greedy codes, and draws of their own that a seed reproduces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rosella import dialogue
from rosella.errors import UserError
from rosella.inference.alignment import follow
from rosella.inference.generate import generate, prepared
from rosella.inference.layout import Prompt
from rosella.inference.settings import Sampling
from rosella.pytorch import load_model
from rosella.pytorch.generate import Running
from rosella.weights import load_model as load_jax
from rosella.weights import save_model
from tiny_dia import ATTEND, CONFIG, READS, batch, model

PROMPTS = [Prompt(np.random.default_rng(n).integers(0, 16, (n, 3)).astype(np.uint16), n) for n in (0, 5, 3)]
GREEDY = Sampling(guidance=2.0, temperature=0.0, top_k=8)


@pytest.fixture(scope="module", params=[CONFIG, ATTEND, READS], ids=["masks", "attends", "reads along"])
def both(request, tmp_path_factory):
    """A tiny model in JAX, and the same from files in PyTorch."""
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, model(request.param), request.param)
    return model(request.param), load_model(folder)[0]


def spoken(theirs, sampling, **settings):
    ids, lengths, _ = batch(width=48)
    running = theirs.begin(ids, lengths, 30, sampling=sampling, **settings)
    running.advance()
    assert running.finished
    return running.so_far()


@pytest.mark.parity
@pytest.mark.parametrize("prompts", [None, PROMPTS], ids=["", "prompted"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_codes_are_those_of_jax(both, prompts, guidance):
    ours, theirs = both
    ids, lengths, _ = batch(width=48)
    sampling = Sampling(guidance, temperature=0.0, top_k=8)
    wanted = generate(ours, ids, lengths, max_frames=30, prompts=prompts, sampling=sampling)
    made = spoken(theirs, sampling, prompts=prompts)
    for codes, right in zip(made.codes, wanted.codes, strict=True):
        np.testing.assert_array_equal(codes, right)
    np.testing.assert_array_equal(made.stopped, wanted.stopped)
    np.testing.assert_array_equal(made.tokens, wanted.tokens)


@pytest.mark.parity
def test_heads_that_read_along_do_so_in_these_texts():
    """Or the comparisons above would compare nothing of it."""
    ids, lengths, _ = batch(width=48)
    steady, free = (
        generate(model(READS), ids, lengths, max_frames=30, sampling=replace(GREEDY, steady=keeps)).tokens
        for keeps in (True, False)
    )
    assert not np.array_equal(steady, free)


@pytest.mark.parity
def test_the_embedded_model_says_greedily_what_it_says_in_jax():
    """To its own end."""
    texts = ("[S1] The old man finds a red apple.", "[S1] De hond vindt het groene boek.")
    ids, lengths = dialogue.pad_batch([dialogue.encode(text) for text in texts])
    sampling = Sampling(guidance=1.5, temperature=0.0)
    wanted = generate(load_jax("mini")[0], ids, lengths, max_frames=130, sampling=sampling)
    running = load_model("mini")[0].begin(ids, lengths, 130, sampling=sampling)
    running.advance()
    made = running.so_far()
    np.testing.assert_array_equal(made.tokens, wanted.tokens)
    np.testing.assert_array_equal(made.stopped, wanted.stopped)
    assert made.stopped.all()


@pytest.mark.parity
def test_a_speech_is_followed_in_its_text_as_by_jax(both):
    """Also one that fills the model."""
    ours, theirs = both
    text, weights = np.arange(3, 15), prepared(ours)
    for frames in (20, ours.config.room()):
        codes = np.random.default_rng(0).integers(0, 16, (frames, 3)).astype(np.uint16)
        made, wanted = theirs.follow(text, codes), follow(ours, text, codes, weights)
        np.testing.assert_array_equal(made.places, wanted.places)
        np.testing.assert_allclose(made.shares, wanted.shares, atol=1e-3)


def test_a_seed_says_the_same_whoever_is_beside_it(both):
    theirs, drawn = both[1], Sampling(guidance=2.0)
    made, again, other = (
        spoken(theirs, drawn, seeds=seeds).codes for seeds in ((5, 6, 7), (5, 6, 7), (5, 9, 7))
    )
    for row, same in zip(made, again, strict=True):
        np.testing.assert_array_equal(row, same)
    np.testing.assert_array_equal(made[2], other[2])
    assert not np.array_equal(made[1], other[1])


def test_a_few_steps_at_a_time_are_those_of_a_whole_generation(both):
    theirs, (ids, lengths, _) = both[1], batch(width=48)
    whole = spoken(theirs, Sampling(guidance=2.0), prompts=PROMPTS)
    running = theirs.begin(ids, lengths, 30, PROMPTS, Sampling(guidance=2.0), roomy=True)
    while not running.finished:
        running.advance(4)
        for codes, all_codes in zip(running.so_far().codes, whole.codes, strict=True):
            np.testing.assert_array_equal(codes, all_codes[: len(codes)])
    np.testing.assert_array_equal(running.so_far().tokens, whole.tokens)
    assert running.step == whole.tokens.shape[1]


def test_a_generation_that_ended_lends_its_cache_to_the_next(both):
    """What is known of the first stays when its place is written over, and the next finds nothing of it."""
    theirs, (ids, lengths, _) = both[1], batch(width=48)
    wanted = spoken(theirs, Sampling(), seeds=[2] * 3).codes
    first = theirs.begin(ids, lengths, 30, sampling=Sampling(), seeds=[1] * 3)
    first.advance(5)
    place = first._state.layers[0].keys
    first.advance()
    known = [codes.copy() for codes in first.so_far().codes]
    second = theirs.begin(ids, lengths, 30, sampling=Sampling(), seeds=[2] * 3)
    assert second._state.layers[0].keys is place
    second.advance()
    for codes, now, made, right in zip(
        known, first.so_far().codes, second.so_far().codes, wanted, strict=True
    ):
        np.testing.assert_array_equal(now, codes)
        np.testing.assert_array_equal(made, right)
        assert not np.array_equal(made, codes)


def test_a_step_is_one_graph(both, monkeypatch):
    """What is compiled for a card has no break in it, and computes the same."""
    theirs = both[1]
    wanted = spoken(theirs, GREEDY)
    monkeypatch.setattr(Running, "_width", lambda self: 128)  # one of the few that a card is given
    monkeypatch.setattr(theirs, "step", torch.compile(theirs.step, fullgraph=True, backend="aot_eager"))
    for codes, right in zip(spoken(theirs, GREEDY).codes, wanted.codes, strict=True):
        np.testing.assert_array_equal(codes, right)


def test_more_than_the_model_holds_is_refused(both):
    ids, lengths, _ = batch(width=48)
    with pytest.raises(UserError, match="room for 1 to 124"):
        both[1].begin(ids, lengths, 125)
