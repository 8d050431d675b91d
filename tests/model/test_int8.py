from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rosella.model import transformer
from rosella.model.attention import linear
from rosella.model.int8 import Int8, rounded
from tiny_dia import batch, model

RANDOM = np.random.default_rng(0)


def reference(weight, axes):
    """In NumPy: the weight that is left, and the scale of each output."""
    most = np.abs(weight).max(axes, keepdims=True)
    scale = (np.where(most > 0, most, 1) / 127).astype(np.float32)
    return np.round(weight / scale) * scale, np.squeeze(scale, axes)


@pytest.mark.parametrize(
    ("shape", "turned", "inputs"), [((7, 2, 5), False, 1), ((3, 4, 6), False, 2), ((5, 7), True, 1)]
)
def test_each_output_keeps_what_its_largest_weight_allows(shape, turned, inputs):
    weight = RANDOM.normal(0, 0.2, shape).astype(np.float32)
    weight[..., -1] = 0
    axes = (-1,) if turned else tuple(range(inputs))
    held = rounded(jnp.asarray(weight), turned, inputs)
    kept, scale = reference(weight, axes)
    assert held.values.dtype == jnp.int8 and held.values.shape == shape
    np.testing.assert_allclose(held.scale, scale, rtol=1e-6)
    left = np.asarray(held.values) * np.expand_dims(held.scale, axes)
    np.testing.assert_allclose(left, kept, atol=1e-7)
    assert (np.abs(left - weight) <= np.expand_dims(scale, axes) * 0.5001).all()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_products_are_those_of_the_weights_that_are_left(turned, rows):
    weight, x = RANDOM.normal(0, 1, (3, 4, 6)), RANDOM.normal(0, 1, (rows, 12)).astype(np.float32)
    whole = np.moveaxis(weight, 2, 0).reshape(6, 12) if turned else weight
    held = rounded(jnp.asarray(whole, jnp.float32), turned, 2)
    made = jax.jit(lambda x: linear(jnp.float32, x, held, turned, 2))(x)
    np.testing.assert_allclose(
        made, x @ reference(weight.astype(np.float32), (0, 1))[0].reshape(12, 6), atol=1e-5
    )


def left_by(dia):
    """The model with every matrix of its decoder, by NumPy, as eight bits leave it."""
    graph, state = nnx.split(dia)

    def leave(path, leaf):
        if path[:2] == ("decoder", "logits"):
            return leaf.replace(jnp.asarray(reference(np.asarray(leaf[...]), (0,))[0]))
        if path[:2] != ("decoder", "layers") or path[-1] == "scale":
            return leaf
        axes = (1, 2) if path[-1] == "out" else (1,)
        return leaf.replace(jnp.asarray(reference(np.asarray(leaf[...]), axes)[0]))

    return nnx.merge(graph, nnx.from_flat_state([(p, leave(p, x)) for p, x in nnx.to_flat_state(state)]))


@pytest.mark.parametrize("turned", [False, True])
def test_cached_steps_are_those_of_the_weights_that_are_left(turned, monkeypatch):
    monkeypatch.setattr(transformer, "turns_weights", lambda: turned)
    dia, (ids, lengths, tokens) = model(), batch()

    @jax.jit
    def steps(ids, lengths, tokens):
        weights = dia.decoding_weights(int8=True)
        cache = dia.start(dia.encode(ids, lengths), 2 * len(ids), tokens.shape[1], weights)
        twice, made = jnp.concatenate([tokens, tokens]), []
        for step in (slice(0, 6), *(slice(at, at + 1) for at in range(6, tokens.shape[1]))):
            states, cache = dia.step(twice[:, step], cache, weights)
            made.append(dia.logits(states, weights))
        return jnp.concatenate(made, 1)

    made = steps(ids, lengths, tokens)
    left = left_by(dia)
    expected = np.concatenate([left(ids, lengths, tokens), left(0 * ids, lengths, tokens)])
    np.testing.assert_allclose(made, expected, atol=1e-4)
    whole = np.concatenate([dia(ids, lengths, tokens), dia(0 * ids, lengths, tokens)])
    assert np.abs(made - whole).max() > 1e-3  # so that it is not these that were computed


def test_the_decoder_is_held_in_a_quarter_of_the_memory():
    held = nnx.eval_shape(lambda: model().decoding_weights(int8=True))
    kept = {leaf.dtype for leaf in jax.tree.leaves(held) if leaf.ndim > 1}
    assert isinstance(held.logits, Int8) and kept == {jnp.dtype("int8")} | {held.logits.scale.dtype}
    matrices = sum(leaf.size for leaf in jax.tree.leaves(held) if leaf.dtype == jnp.int8)
    whole = nnx.to_flat_state(nnx.state(model().decoder, nnx.Param))
    assert matrices == sum(x[...].size for path, x in whole if path[-1] not in ("scale", "embedding"))
