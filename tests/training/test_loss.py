from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.model.sharding import AXES, make_mesh
from rosella.training import loss
from rosella.training.loss import codebook_hits, codebook_sums, combine, default_codebook_weights, measure
from training import tiny

DECODER = tiny.config().decoder


def by_hand(logits, targets):
    sums, counts = np.zeros(3), np.zeros(3)
    for row, step, book in np.ndindex(*targets.shape):
        target = targets[row, step, book]
        if target not in (DECODER.pad_token_id, DECODER.bos_token_id):
            chances = np.exp(logits[row, step, book].astype(np.float64))
            sums[book] -= np.log(chances[target] / chances.sum())
            counts[book] += 1
    return sums, counts


def test_losses_are_those_of_a_plain_loop_without_padding_and_beginnings():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 5, 3, 20)).astype(np.float32)
    targets = random.integers(0, 19, (2, 5, 3))
    targets[0, 0], targets[1, 4], targets[1, 3, 0] = (
        DECODER.bos_token_id,
        DECODER.pad_token_id,
        DECODER.eos_token_id,
    )
    sums, counts = codebook_sums(jnp.asarray(logits), jnp.asarray(targets), DECODER)
    expected_sums, expected_counts = by_hand(logits, targets)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-5)
    np.testing.assert_array_equal(counts, expected_counts)
    assert counts[0] < 10


def test_the_first_codebook_counts_four_times_and_weights_are_normalised():
    losses = jnp.array([3.0, 1.0, 2.0])
    assert default_codebook_weights(3) == [4, 1, 1]
    assert combine(losses, None) == pytest.approx((12 + 1 + 2) / 6)
    assert combine(losses, [1, 1, 1]) == pytest.approx(2)
    assert combine(losses, [5, 5, 5]) == pytest.approx(2)


def test_a_step_counts_as_much_as_its_weight():
    random = np.random.default_rng(1)
    logits = jnp.asarray(random.normal(size=(2, 5, 3, 20)), jnp.float32)
    targets = jnp.asarray(random.integers(0, 10, (2, 5, 3)))
    (first, n), (second, m) = (
        codebook_sums(logits[row : row + 1], targets[row : row + 1], DECODER) for row in (0, 1)
    )
    sums, counts = codebook_sums(logits, targets, DECODER, jnp.array([[3.0], [0.5]]))
    np.testing.assert_allclose(sums, 3 * first + 0.5 * second, rtol=1e-5)
    np.testing.assert_allclose(counts, 3 * n + 0.5 * m)


def test_hits_are_the_likeliest_ids_of_those_that_count():
    random = np.random.default_rng(2)
    logits = random.normal(size=(2, 5, 3, 20)).astype(np.float32)
    targets = logits.argmax(-1)
    targets[targets > 15] = 0  # ids that may be said
    targets[0, 0, 1], targets[1, 2] = DECODER.bos_token_id, DECODER.pad_token_id
    likeliest = targets == logits.argmax(-1)
    expected = np.where(targets < DECODER.pad_token_id, likeliest, False).sum((0, 1))
    np.testing.assert_array_equal(codebook_hits(logits, jnp.asarray(targets), DECODER), expected)
    first = codebook_hits(logits[:1], jnp.asarray(targets[:1]), DECODER)
    weighted = codebook_hits(logits, jnp.asarray(targets), DECODER, jnp.array([[3.0], [0.0]]))
    np.testing.assert_allclose(weighted, 3 * first)


@pytest.mark.parametrize("weighted", [False, True])
def test_logits_made_in_pieces_have_the_same_loss_hits_and_gradients(monkeypatch, weighted):
    random = np.random.default_rng(3)
    states = jnp.asarray(random.normal(size=(2, 23, 6)), jnp.float32)
    projection = jnp.asarray(random.normal(size=(6, 3, DECODER.vocab_size)), jnp.float32)
    targets = jnp.asarray(random.integers(0, 19, (2, 23, 3)))
    weights = jnp.asarray(random.uniform(size=(2, 23)), jnp.float32) if weighted else None

    def found(states, projection):
        def logits_of(states):
            shapes.append(states.shape)
            return jnp.tensordot(states, projection, 1)

        measured = measure(logits_of, states, targets, DECODER, weights)
        return combine(measured[0], None), measured

    shapes, results = [], []
    for piece, steps in ((loss.PIECE, 23), (2 * 5 * 3 * DECODER.vocab_size * 4, 5)):
        monkeypatch.setattr(loss, "PIECE", piece)
        shapes.clear()
        results.append(jax.jit(jax.value_and_grad(found, (0, 1), has_aux=True))(states, projection))
        assert set(shapes) == {(2, steps, 6)}
    whole, pieces = map(jax.tree.leaves, results)
    for ours, theirs in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * np.abs(theirs).max())


def test_a_mesh_divides_what_a_device_holds():
    decoder, targets = DECODER, jnp.zeros((8, 1000, 3), jnp.int32)
    bytes_of_all = targets.size * decoder.vocab_size * 4
    assert loss._pieces(jnp.zeros((8, 1, 3)), decoder) == 1
    many = jax.ShapeDtypeStruct((8 * loss.PIECE // bytes_of_all * 4, 1000, 3), jnp.int32)
    with jax.sharding.use_abstract_mesh(make_mesh(1, 1, 1).abstract_mesh):
        assert loss._pieces(many, decoder) == 4
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((2, 2, 1), AXES)):
        assert loss._pieces(many, decoder) == 1
