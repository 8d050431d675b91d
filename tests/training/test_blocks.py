from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.training import blocks, objective
from rosella.training.batches import Batch
from rosella.training.blocks import Noisy
from training import tiny

DECODER = tiny.config().decoder
BOS, EOS, PAD = DECODER.bos_token_id, DECODER.eos_token_id, DECODER.pad_token_id


def batch(*rows: list[int]) -> Batch:
    """Rows that hold speeches of so many frames one behind the other, with a text of four letters each."""
    random, places = np.random.default_rng(0), max(map(len, rows))
    lengths = [[tiny.config().steps(count) for count in row] for row in rows]
    shape, width = (len(rows), places), max(map(sum, lengths))
    made = Batch(
        np.zeros((len(rows), 4 * places), np.int32),
        np.zeros(shape, np.int32),
        *np.full((2, len(rows), width, 3), PAD, np.int32),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.float32),
    )
    for row, counts in enumerate(rows):
        at = 0
        for place, count in enumerate(counts):
            sequence = tiny.config().delayed(random.integers(0, 16, (count, 3)), end=True)
            own = slice(at, at + len(sequence) - 1)
            made.tokens[row, own], made.targets[row, own] = sequence[:-1], sequence[1:]
            made.text_ids[row, 4 * place : 4 * place + 4] = random.integers(1, 99, 4)
            made.text_lengths[row, place], made.steps[row, place] = 4, len(sequence) - 1
            made.weights[row, place] = 1 + place
            at = own.stop
    return jax.tree.map(jnp.asarray, made)


def test_only_codes_and_ends_are_hidden_and_never_the_first_of_a_block():
    given = batch([9, 20], [31])
    noisy = blocks.hide(given, jax.random.key(0), 4, (1.0, 1.0), DECODER)
    ids, tokens = np.asarray(noisy.ids), np.asarray(given.tokens)
    places = np.concatenate([np.arange(12), np.arange(23)])
    first = places % 4 == 0
    np.testing.assert_array_equal(ids[0, first], tokens[0, first])
    np.testing.assert_array_equal(ids[0, ~first] == BOS, tokens[0, ~first] == BOS)
    assert (ids[0, ~first][tokens[0, ~first] != BOS] == PAD).all() and (tokens == EOS).any()
    np.testing.assert_array_equal(blocks.hide(given, jax.random.key(0), 1, (1.0, 1.0), DECODER).ids, tokens)


def test_of_each_block_a_share_of_its_own_is_hidden():
    given = batch(*[[57]] * 64)
    noisy = blocks.hide(given, jax.random.key(1), 6, (0.2, 0.9), DECODER)
    shares, hidden = np.asarray(noisy.shares), np.asarray(noisy.ids != given.tokens)
    assert (shares == np.repeat(shares[:, ::6], 6, axis=1)).all()
    assert 0.2 <= shares.min() < 0.22 and 0.88 < shares.max() < 0.9
    assert len(np.unique(shares)) == 64 * 10
    within = hidden.reshape(64, 10, 6, 3)[:, 1:-1, 1:]
    for low, high in ((0.2, 0.4), (0.4, 0.7), (0.7, 0.9)):
        some = (shares[:, 6:-6:6] >= low) & (shares[:, 6:-6:6] < high)
        assert within[some].mean() == pytest.approx(shares[:, 6:-6:6][some].mean(), abs=0.02)


def test_what_is_hidden_of_a_row_does_not_depend_on_the_rows_behind_it():
    drawn = [
        blocks.hide(each, jax.random.key(2), 4, (0.3, 1.0), DECODER)
        for each in (batch([9], [20]), batch([9], [20], []))
    ]
    np.testing.assert_array_equal(drawn[0].ids, drawn[1].ids[:2])
    np.testing.assert_array_equal(drawn[0].shares, drawn[1].shares[:2])


def test_what_is_hidden_or_behind_a_block_is_to_be_told():
    """By hand: a speech of two frames in steps of three codebooks delayed by 0, 1, 2, in blocks of three."""
    given = batch([2])
    a, b, c = np.asarray(given.targets[0, :4].T)
    np.testing.assert_array_equal(given.tokens[0, :, 0], [BOS, a[0], a[1], EOS, PAD])
    ids = given.tokens.at[0, 1, 0].set(PAD).at[0, 4, 2].set(PAD)
    laid = blocks.lay_out(Noisy(given, ids, jnp.full((1, 5), 0.5)), 3, DECODER)
    np.testing.assert_array_equal(laid.ids[0, :5], ids[0])
    assert (np.asarray(laid.ids[0, 5:]) == PAD).all() and laid.ids.shape == (1, 7, 3)
    told = np.asarray(laid.targets[0, :6])
    # The first step tells a0, hidden; the second would tell a1, but it is shown; the third what begins the next block.
    np.testing.assert_array_equal(told[:3], [[a[0], PAD, PAD], [PAD, PAD, PAD], [EOS, b[2], c[2]]])
    # The fourth tells the hidden code of the last frame, and an end is shown to it; the fifth tells the last end.
    np.testing.assert_array_equal(told[3:], [[PAD, PAD, c[3]], [PAD, PAD, EOS], [PAD] * 3])
    np.testing.assert_array_equal(laid.sure[0, :6], [False, False, True, False, True, True])
    np.testing.assert_array_equal(laid.weights[0], [1] * 6 + [0])


def test_a_bound_counts_every_id_once_in_the_mean():
    given = batch(*[[30, 25]] * 64)
    laid = blocks.lay_out(blocks.hide(given, jax.random.key(3), 5, blocks.BOUND, DECODER), 5, DECODER)
    counted = np.asarray((laid.targets < PAD) * blocks.bound_weights(laid)[..., None]).sum((0, 1))
    every = np.asarray(given.targets < PAD).sum((0, 1))
    np.testing.assert_allclose(counted, every, rtol=0.05)
    assert (np.asarray(laid.targets < PAD).sum((0, 1)) < 0.75 * every).all()


def packed_and_in_buckets() -> tuple[Noisy, Noisy]:
    """The same three speeches with the same ids hidden, in two rows that are packed and in three with padding."""
    packed = blocks.hide(batch([6, 11], [9]), jax.random.key(4), 4, (0.3, 1.0), DECODER)
    rows = [(0, 0, 9), (0, 9, 23), (1, 0, 12)]

    def cut(leaf, fill):
        parts = [leaf[row, begin:end] for row, begin, end in rows]
        return jnp.stack(
            [jnp.pad(p, [(0, 16 - len(p))] + [(0, 0)] * (p.ndim - 1), constant_values=fill) for p in parts]
        )

    given = packed.batch
    places = ((0, 0, 1), (0, 1, 0))
    letters = given.text_ids.reshape(2, 2, 4)[places]
    alone = Batch(
        letters,
        given.text_lengths[places][:, None],
        cut(given.tokens, PAD),
        cut(given.targets, PAD),
        *(leaf[places][:, None] for leaf in (given.steps, given.weights)),
    )
    return packed, Noisy(alone, cut(packed.ids, PAD), cut(packed.shares, 1))


def learnt(given: Batch | Noisy, recipe) -> tuple:
    """Counts, what is minimised, and the figures."""
    counts = objective.count(given, recipe, DECODER)
    learn = jax.jit(lambda given: objective.learn(tiny.model(), given, counts, jnp.int32(0), recipe))
    return counts, *learn(given)


def test_packed_blocks_have_the_losses_of_padded_ones_and_the_next_step_that_without_blocks():
    recipe = tiny.recipe("x", objective="blocks", blocks={"size": 4, "ar_weight": 0.5})
    packed, alone = packed_and_in_buckets()
    found, expected = learnt(packed, recipe), learnt(alone, recipe)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    _, total, figures = found
    np.testing.assert_allclose(total, figures["loss"] + 0.5 * figures["ar_loss"], rtol=1e-6)
    _, ahead, without = learnt(packed.batch, tiny.recipe("x"))
    np.testing.assert_allclose(figures["ar_loss"], ahead, rtol=1e-5)
    np.testing.assert_allclose(figures["ar_codebook_losses"], without["codebook_losses"], rtol=1e-5)
