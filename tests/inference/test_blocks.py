"""Blocks against the autoregressive generator, and against the whole sequences that the trainer computes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rosella.errors import UserError
from rosella.inference import sampling, unmasking
from rosella.inference.generate import Running, generate, prepared
from rosella.inference.layout import Prompt, codes_of
from rosella.inference.settings import Blocks, Sampling
from tiny_dia import CONFIG, batch, model, shaped

EOS, PAD = CONFIG.decoder.eos_token_id, CONFIG.decoder.pad_token_id
SHALLOW = shaped(layers=1)
GREEDY = Sampling(guidance=1.0, temperature=0.0)
DRAWN = Sampling(guidance=2.0, temperature=1.0, top_k=12, top_p=0.95)
LIVELY = replace(DRAWN, blocks=Blocks(8, 3, "calibrated", early=0.7, cooling=0.9))
PROMPTS = [Prompt(np.random.default_rng(n).integers(0, EOS, (n, 3)), n) for n in (0, 3, 5)]
SEEDS = [5, 2**40 + 3, 7]


def spoken(dia, sampling: Sampling, order=(0, 1, 2), seeds=SEEDS, frames=20, roomy=False):
    ids, lengths, _ = batch(dia.config)
    rows = [*order]
    prompts, seeds = [PROMPTS[row] for row in rows], [seeds[row] for row in rows]
    return Running(dia, ids[rows], lengths[rows], frames, prompts, sampling, seeds, None, roomy)


def made(*asked, **settings):
    running = spoken(*asked, **settings)
    running.advance()
    return running.so_far()


@pytest.mark.parametrize("setting", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_blocks_of_one_step_are_the_autoregressive_model(setting):
    dia = model(SHALLOW)
    one, many = made(dia, setting), made(dia, replace(setting, blocks=Blocks(1, 1)))
    np.testing.assert_array_equal(many.tokens, one.tokens)
    np.testing.assert_array_equal(many.stopped, one.stopped)


def test_a_pass_over_the_cache_is_that_over_the_whole_sequences():
    """Two blocks of four after a clip of three frames, beside rows without a text: hidden and known steps, to 1e-5."""
    dia, (ids, lengths, tokens) = model(CONFIG), batch(CONFIG, rows=2, steps=12)
    hidden = np.random.default_rng(1).random(tokens.shape) < 0.5
    noisy, weights = np.where(hidden, PAD, tokens).astype(np.int32), prepared(dia)

    @jax.jit
    def whole(ids):
        states = dia.decode_blocks(tokens, noisy, dia.encode(ids, lengths), jnp.full((2, 1), 12), 4)
        return tuple(map(dia.logits, states))

    @partial(jax.jit, static_argnames="together")
    def step(given, cache, together):
        states, after = dia.step(jnp.concatenate([given, given]), cache, weights, together)
        return dia.logits(states, weights), after if not together else after._replace(filled=cache.filled)

    seen, start = [], jax.jit(lambda ids: dia.start(dia.encode(ids, lengths), 4, 12, weights))
    _, cache = step(tokens[:, :4], start(ids), False)
    for block in (slice(4, 8), slice(8, 12)):
        for given in (0 * noisy, noisy):  # what an earlier pass wrote is read by none
            blocks, cache = step(given[:, block], cache, True)
        known, cache = step(tokens[:, block], cache, False)
        seen += [known, blocks]
    expected = map(np.concatenate, zip(whole(ids), whole(0 * ids), strict=True))
    for number, half in enumerate(expected):
        close = np.concatenate(seen[number::2], 1) - half[:, 4:]
        assert np.abs(close).max() < 1e-5 * np.abs(half).max()


@pytest.mark.parametrize("order", ["free", "low first"])
def test_blocks_are_what_the_whole_sequences_give_pass_after_pass(order):
    """Greedy, by a second account that keeps no cache: without and with clips, to a row's own end or its limit."""
    dia, size, passes = model(CONFIG, seed=4), 4, 3
    ids, lengths, _ = batch(CONFIG, rows=4)
    prompts = [Prompt(np.random.default_rng(n).integers(0, EOS, (n, 3)), n) for n in (0, 4, 8, 4)]
    asked = replace(GREEDY, blocks=Blocks(size, passes, order=order))
    whole = generate(dia, ids, lengths, max_frames=12, prompts=prompts, sampling=asked)
    assert any(whole.stopped) and not all(whole.stopped)
    forced = jax.jit(partial(_best, nnx.split(dia)[0], size))
    for row, prompt in enumerate(prompts):
        text = ids[row : row + 1], lengths[row : row + 1]
        expected = _recount(forced, dia, text, prompt.codes, asked.blocks)
        np.testing.assert_array_equal(whole.codes[row], codes_of(expected, prompt, CONFIG)[:12])


def _best(graph, size, weights, ids, lengths, sequence):
    """The best ids of the known half and of that in blocks, and the confidence of the latter."""
    dia, steps = nnx.merge(graph, weights), jnp.array([[sequence.shape[1]]])
    states = dia.decode_blocks(sequence, sequence, dia.encode(ids, lengths), steps, size)
    clean, blocks = map(dia.logits, states)
    best = [sampling.filter_end(logits, EOS).argmax(-1) for logits in (clean, blocks)]
    return *best, unmasking.confidence(blocks, best[1])


def _recount(forced, dia, text, prompt, blocks, steps=16):
    """Sequence rows behind a prompt of whole blocks, every pass over all of the sequence."""
    weights, start, size = nnx.split(dia)[1], len(prompt), blocks.size
    sequence = np.full((1 + 12 + steps, 3), PAD, np.int32)  # as long for all, that it is compiled once
    laid = CONFIG.delayed(prompt, end=False)
    sequence[: len(laid)] = laid
    known = sequence != PAD
    for begin in range(start, start + steps, size):
        inside, predicting = slice(begin + 1, begin + size), slice(begin, begin + size - 1)
        for number in range(blocks.passes):
            _, best, sure = forced(weights, *text, sequence[None, :-1])
            best, sure = np.asarray(best)[0, predicting], np.asarray(sure)[0, predicting]
            ranked = sorted(
                zip(*np.nonzero(~known[inside]), strict=True),
                key=lambda at: (at[1] if blocks.order == "low first" else 0, -sure[at]),
            )
            for at in ranked[: -(-len(ranked) // (blocks.passes - number))]:
                sequence[inside][at], known[inside][at] = best[at], True
            _end(sequence, known)
        last = begin + size
        best = np.asarray(forced(weights, *text, sequence[None, :-1])[0])[0, last - 1]
        sequence[last] = np.where(known[last], sequence[last], best)
        known[last] = True
        _end(sequence, known)
    return sequence[start + 1 : start + 1 + steps]


def _end(sequence, known):
    """What the pattern says once codebook 0 has ended."""
    ended = np.flatnonzero(sequence[:, 0] == EOS)
    if len(ended):
        for codebook, late in enumerate(CONFIG.delay_pattern):
            sequence[ended[0] + late, codebook] = EOS
            sequence[ended[0] + late + 1 :, codebook] = PAD
            known[ended[0] + late :, codebook] = True


def test_a_row_depends_on_its_own_seed_alone():
    dia = model(SHALLOW, seed=25)
    whole, other = made(dia, LIVELY), made(dia, LIVELY, order=(2, 0, 0))
    for at, row in enumerate((2, 0, 0)):
        np.testing.assert_array_equal(other.tokens[at][:24], whole.tokens[row][:24])
    changed = made(dia, LIVELY, seeds=[5, 4, 8])
    same = [np.array_equal(a, b) for a, b in zip(changed.codes, whole.codes, strict=True)]
    assert same == [True, False, False]


def test_each_row_ends_by_itself_in_the_middle_of_a_block_or_at_its_limit():
    whole = made(model(SHALLOW, seed=25), LIVELY)
    assert [len(codes) for codes in whole.codes] == [11, 5, 20] and whole.stopped.tolist() == [
        True,
        True,
        False,
    ]
    for tokens, codes, (before, _) in zip(whole.tokens, whole.codes, PROMPTS, strict=True):
        sequence = SHALLOW.delayed(np.concatenate([before, codes]), end=True)[len(before) + 1 :]
        np.testing.assert_array_equal(tokens[: len(sequence)], sequence)
        assert (tokens[len(sequence) :] == PAD).all()


def test_a_few_steps_at_a_time_are_those_of_a_whole_generation():
    """In whole blocks; of every row just the frames that are whole are known on the way."""
    dia = model(SHALLOW, seed=25)
    whole, running = made(dia, LIVELY), spoken(dia, LIVELY)
    running.advance(3)
    assert running.step == 8 and [len(codes) for codes in running.so_far().codes] == [5, 5, 5]
    running.advance(9)
    assert running.step == 24 and running.finished
    np.testing.assert_array_equal(running.so_far().tokens, whole.tokens)


def test_a_block_is_not_told_of_the_limit_that_cuts_it():
    dia = model(SHALLOW, seed=1)
    for short, longer in zip(made(dia, LIVELY, frames=10).codes, made(dia, LIVELY).codes, strict=True):
        np.testing.assert_array_equal(short, longer[:10])


def test_blocks_may_reach_beyond_what_the_model_holds():
    """To its last position, and with a cache of just so many slots."""
    dia = model(shaped(layers=1, steps=30), seed=1)
    limits = [26, 23, 21]
    one, roomy = (made(dia, LIVELY, frames=limits, roomy=each) for each in (False, True))
    assert [len(codes) for codes in one.codes] == limits
    np.testing.assert_array_equal(roomy.tokens, one.tokens)


def test_blocks_longer_than_the_model_are_refused():
    with pytest.raises(UserError, match="Blocks of 200 steps are more than the 128 that the model holds"):
        made(model(SHALLOW), replace(GREEDY, blocks=Blocks(200)))
