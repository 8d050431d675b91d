"""Training equals inference, and padding does not exist: on one tiny padded batch."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.core import jaxprs_in_params

from rosella.model import packing
from rosella.model.masking import Mask
from rosella.model.transformer import Dia, Text
from tiny_dia import ATTEND, CONFIG, batch, model


@partial(jax.jit, static_argnames="graph")
def _forward(graph, weights, *inputs):
    return nnx.merge(graph, weights)(*inputs)


def logits(dia: Dia, *inputs) -> np.ndarray:
    return np.asarray(_forward(*nnx.split(dia), *inputs))


def close(ours, theirs):
    assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


@partial(jax.jit, static_argnames=("graph", "pieces", "slots"))
def _stepwise(graph, weights, ids, lengths, tokens, pieces, slots, filled=None):
    """`filled` [B] are the slots that a row keeps of the first piece; it goes on from the step after them."""
    dia = nnx.merge(graph, weights)
    weights = dia.decoding_weights()
    cache, states = dia.start(dia.encode(ids, lengths), len(ids), slots, weights), []
    for number, piece in enumerate(pieces):
        at = cache.filled[:, None] + jnp.arange(piece)
        made, cache = dia.step(jnp.take_along_axis(tokens, at[:, :, None], 1), cache, weights)
        states.append(made)
        if number == 0 and filled is not None:
            cache = cache._replace(filled=filled)
    return dia.logits(jnp.concatenate(states, 1))


@pytest.mark.parametrize("dropped", [False, True])
def test_cached_steps_equal_teacher_forcing(dropped):
    ids, lengths, tokens = batch(steps=6)
    ids = ids * (np.arange(len(ids))[:, None] != 1) if dropped else ids
    made = _stepwise(*nnx.split(model()), ids, lengths, tokens, (4, 1, 1), 8)
    close(np.asarray(made), logits(model(), ids, lengths, tokens))


def test_rows_may_be_at_different_steps():
    """What lies behind a row's own step is not seen, and is written over."""
    ids, lengths, tokens = batch(steps=6)
    filled = np.array([4, 2, 3], np.int32)
    made = np.asarray(_stepwise(*nnx.split(model()), ids, lengths, tokens, (4, 1, 1), 8, filled))
    whole = logits(model(), ids, lengths, tokens)
    for row, kept in enumerate(filled):
        close(made[row, 4:], whole[row, kept : kept + 2])


@pytest.mark.parametrize("dropped", [False, True])
def test_padding_changes_nothing(dropped):
    ids, lengths, tokens = batch()
    ids = 0 * ids if dropped else ids
    plain = logits(model(), ids, lengths, tokens)
    wider = np.pad(ids, ((0, 0), (0, 7)), constant_values=0 if dropped else 99)
    longer = np.pad(tokens, ((0, 0), (0, 5), (0, 0)), constant_values=17)
    close(logits(model(), wider, lengths, longer)[:, : tokens.shape[1]], plain)


def test_text_is_heard():
    ids, lengths, tokens = batch()
    other = logits(model(), np.where(ids == ids[0, 0], 5, ids), lengths, tokens)
    assert np.abs(other - logits(model(), ids, lengths, tokens))[0].max() > 0.1


def test_a_dropped_text_sounds_the_same_at_any_length():
    _, lengths, tokens = batch()
    ids = np.zeros((len(lengths), 12), np.int32)
    close(logits(model(), ids, lengths, tokens), logits(model(), ids[:, :1], np.ones_like(lengths), tokens))


def test_attended_padding_equals_copies_of_the_state_of_a_zero():
    """The reference: states of the unpadded text, then T - L copies of the state of a lone zero token."""
    ids, lengths, tokens = batch()
    dia, masked = model(ATTEND), model()
    row, length, total = 1, int(lengths[1]), ATTEND.trained_text_length

    @jax.jit
    def reference(ids, tokens):
        states = masked.encode(ids, jnp.array([length])).states
        zero = masked.encode(jnp.zeros((1, 1), int), jnp.ones(1, int)).states
        whole = jnp.concatenate([states, jnp.repeat(zero, total - length, 1)], 1)
        return masked.logits(masked.decode(tokens, Text(whole, Mask())))

    wanted = np.asarray(reference(ids[row : row + 1, :length], tokens[row : row + 1]))[0]
    close(logits(dia, ids, lengths, tokens)[row], wanted)
    assert not np.allclose(logits(masked, ids, lengths, tokens)[row], wanted, atol=0.1)


def test_the_compute_type_reaches_every_product():
    half = model()
    half.dtype = jnp.bfloat16
    traced = jax.make_jaxpr(lambda *inputs: half(*inputs))(*batch())
    factors = [v.aval.dtype for e in _equations(traced.jaxpr, "dot_general") for v in e.invars]
    assert len(factors) > 20
    assert set(factors) == {jnp.dtype(jnp.bfloat16)}
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(half, nnx.Param)))


def _equations(jaxpr, name):
    for equation in jaxpr.eqns:
        if equation.primitive.name == name:
            yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner, name)


@pytest.mark.parametrize("remat", ["none", "dots", "full"])
def test_remat_recomputes_each_layer(remat):
    dia = model()
    dia.remat = remat
    traced = jax.make_jaxpr(lambda *inputs: dia(*inputs))(*batch())
    assert len(list(_equations(traced.jaxpr, "remat2"))) == (0 if remat == "none" else 2)


def test_the_stack_is_as_deep_as_its_configuration():
    weights, decoder = model().decoding_weights(), CONFIG.decoder
    assert len(weights.layers) == decoder.num_hidden_layers
    assert weights.turned and weights.layers[1].mlp.down.shape == (
        decoder.hidden_size,
        decoder.intermediate_size,
    )


def test_computing_in_another_type_leaves_the_model_as_it_was():
    dia = model()
    other = dia.computing("bfloat16", remat="full")
    assert (other.dtype, other.remat) == (jnp.bfloat16, "full")
    assert (dia.dtype, dia.remat) == (jnp.float32, "none")
    assert other.decoder.logits[...] is dia.decoder.logits[...]


@partial(jax.jit, static_argnames=("graph", "size"))
def _in_blocks(graph, weights, ids, lengths, tokens, noisy, steps, size):
    dia = nnx.merge(graph, weights)
    noisy = packing.in_blocks(noisy, steps, size, dia.config.decoder.pad_token_id)
    states = dia.decode_blocks(tokens, noisy, dia.encode(ids, lengths), steps, size)
    return tuple(map(dia.logits, states))


def in_blocks(dia: Dia, *inputs) -> list[np.ndarray]:
    return [np.asarray(made) for made in _in_blocks(*nnx.split(dia), *inputs)]


@pytest.mark.parametrize("config", [CONFIG, ATTEND])
def test_blocks_of_one_are_the_autoregressive_model(config):
    """Where nothing is hidden, which blocks of one step do not allow; and beside blocks of any size the known half is."""
    ids, lengths, tokens = batch(config)
    steps, dia = np.full((3, 1), 10, np.int32), model(config)
    whole = logits(dia, ids, lengths, tokens)
    for made in in_blocks(dia, ids, lengths, tokens, tokens, steps, 1):
        close(made, whole)
    close(in_blocks(dia, ids, lengths, tokens, 0 * tokens, steps, 4)[0], whole)


def test_what_is_hidden_of_a_block_changes_that_block_alone_and_all_of_it():
    ids, lengths, tokens = batch()
    steps, noisy = np.full((3, 1), 10, np.int32), tokens.copy()
    noisy[:, 6] = CONFIG.decoder.pad_token_id
    _, shown = in_blocks(model(), ids, lengths, tokens, tokens, steps, 4)
    _, hidden = in_blocks(model(), ids, lengths, tokens, noisy, steps, 4)
    changed = np.abs(shown - hidden).max((0, 2, 3)) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(changed), [4, 5, 6, 7])
    tokens[:, 5] += tokens[:, 5] % 2 * -2 + 1  # what is known of the second block is heard from the third on
    _, other = in_blocks(model(), ids, lengths, tokens, noisy, steps, 4)
    assert np.flatnonzero(np.abs(hidden - other).max((0, 2, 3)) > 1e-6)[0] == 8


def test_packed_utterances_have_the_blocks_that_each_has_alone():
    random, pad = np.random.default_rng(0), CONFIG.decoder.pad_token_id
    letters, steps = np.array([[5, 7]]), np.array([[6, 9]])
    ids, tokens, noisy = (random.integers(1, 16, shape) for shape in ((1, 14), (1, 18, 3), (1, 18, 3)))
    clean, blocks = in_blocks(model(), ids, letters, tokens, noisy, steps, 4)
    assert blocks.shape[1] == 18 + 2 * 3
    for number, (text, begin, block) in enumerate([(slice(0, 5), 0, 0), (slice(5, 12), 6, 8)]):
        count = steps[0, number]
        own = slice(begin, begin + count)
        one = ids[:, text], letters[:, number], tokens[:, own], noisy[:, own], steps[:, number : number + 1]
        alone = in_blocks(model(), *one, 4)
        close(clean[:, own], alone[0])
        close(blocks[:, block : block + count], alone[1][:, :count])
        # A bucket's row may be longer than its utterance.
        longer = [np.pad(each, ((0, 0), (0, 5), (0, 0)), constant_values=pad) for each in one[2:4]]
        close(in_blocks(model(), *one[:2], *longer, one[4], 4)[1][:, :count], alone[1][:, :count])
