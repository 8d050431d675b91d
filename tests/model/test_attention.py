"""The products and the attention differentiate themselves: held against what JAX makes of the plain formulas."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from rosella.model import attention
from rosella.model.attention import PIECE, Weight, attend, linear, turn
from rosella.model.masking import HIDDEN, Mask


def draw(*shapes: tuple[int, ...]) -> list[jax.Array]:
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def plain(q, k, v, bias):
    k, v = (jnp.repeat(each, q.shape[1] // k.shape[1], axis=1) for each in (k, v))
    return jax.nn.softmax(q @ k.swapaxes(2, 3) + bias, axis=-1) @ v


def close(ours, theirs):
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [5, 2 * PIECE + 3])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_and_its_gradient_are_those_of_the_plain_formula(steps, causal):
    q, k, v, weights = draw((2, 4, steps, 8), (2, 2, steps, 8), (2, 2, steps, 8), (2, 4, steps, 8))
    mask = Mask(causal=causal)
    bias = mask.additive(steps, steps)

    def ours(q, k, v):
        return jnp.sum(weights * attend(jnp.dtype("float32"), q, k, v, mask))

    def theirs(q, k, v):
        return jnp.sum(weights * plain(q, k, v, bias))

    made, wanted = (jax.jit(jax.value_and_grad(f, (0, 1, 2)))(q, k, v) for f in (ours, theirs))
    close(made, wanted)


@pytest.mark.parametrize(("platform", "spared"), [("cpu", True), ("tpu", False)])
def test_a_causal_attention_does_not_look_at_later_keys_but_on_a_tpu(monkeypatch, platform, spared):
    monkeypatch.setattr(attention, "platform", lambda: platform)
    q, k, v = draw(*[(1, 1, 4 * PIECE, 8)] * 3)

    def flops(causal):
        made = jax.jit(lambda *x: attend(jnp.dtype("float32"), *x, Mask(causal=causal)))
        return made.lower(q, k, v).cost_analysis()["flops"]

    assert (flops(True) < 0.7 * flops(False)) is spared


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)])
def test_a_linear_product_and_its_gradient_are_those_of_einsum(shape):
    x, weight = draw((2, 5, 4), (4, *shape))
    made = jax.value_and_grad(lambda x, w: jnp.sum(jnp.sin(linear(jnp.dtype("float32"), x, w))), (0, 1))
    wanted = jax.value_and_grad(lambda x, w: jnp.sum(jnp.sin(jnp.tensordot(x, w, 1))), (0, 1))
    close(made(x, weight), wanted(x, weight))


def test_a_linear_product_computes_in_its_type_backwards_too():
    x, weight = draw((2, 5, 4), (4, 3))
    program = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(linear(jnp.dtype("bfloat16"), x, weight))))(x)
    products = [
        equation for equation in _equations(program.jaxpr) if equation.primitive.name == "dot_general"
    ]
    assert {str(factor.aval.dtype) for each in products for factor in each.invars} == {"bfloat16"}


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_are_computed_on_this_machine_in_either_type(dtype):
    """XLA's CPU products of bfloat16 cannot turn their result on the way."""
    q, k, x, weight = draw((2, 2, 160, 64), (2, 2, 160, 64), (64, 32), (32, 48))

    def loss(q, k, x, weight):
        read = attend(jnp.dtype(dtype), q, k, k, Mask())
        return jnp.mean(jnp.square(read)) + jnp.mean(jnp.square(linear(jnp.dtype(dtype), x, weight)))

    found = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(q, k, x, weight)
    assert all(jnp.isfinite(each).all() and jnp.any(each) for each in found)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("rows", [1, 2, 16, 17])
def test_a_turned_weight_gives_the_same_states(rows, dtype):
    """Whether its sums are taken side by side or not."""
    x, w = draw((rows, 1, 24), (24, 3, 8))
    expected = linear(dtype, x, w)
    found = linear(dtype, x, turn(Weight(w, axes=()))[...], turned=True)
    assert found.shape == expected.shape and found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("known", [1, 128, 129, 300])
def test_few_of_the_slots_that_nobody_sees_are_read(known):
    """The same as of all of them; beyond what is known, slots that would poison a sum."""
    random = np.random.default_rng(0)
    q, k, v = (
        random.normal(size=(2, heads, n, 8)).astype(np.float32) for heads, n in ((4, 1), (2, 300), (2, 300))
    )
    bias = np.where(np.arange(300) < known, 0.0, HIDDEN)[None, None, None].astype(np.float32)
    whole = attention._attend_one(jnp.float32, q, k, v, bias)
    widths = [128, 256, 300]
    enough = next(width for width in widths if width >= known)
    k[:, :, enough:], v[:, :, enough:] = np.nan, np.nan
    read = jax.jit(partial(attention._attend_known, jnp.float32))(q, k, v, bias, jnp.int32(known))
    np.testing.assert_allclose(read, whole, rtol=1e-5, atol=1e-6)
