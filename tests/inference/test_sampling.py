from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.errors import UserError
from rosella.inference import sampling
from rosella.inference.settings import Blocks, Sampling

HIDE = -np.inf


def chances(scores):
    return np.asarray(jax.nn.softmax(jnp.asarray(scores), axis=-1))


def test_guidance_selects_by_the_guided_and_scores_by_the_conditional():
    conditional = jnp.log(jnp.array([[0.4, 0.3, 0.2, 0.1]]))
    unconditional = jnp.log(jnp.array([[0.4, 0.4, 0.1, 0.1]]))
    guided = sampling.guide(conditional, unconditional, 3.0, None)
    np.testing.assert_allclose(guided[0, 2], np.log(0.2) + 3 * np.log(2), rtol=1e-6)
    kept = sampling.guide(conditional, unconditional, 3.0, 2)  # guided: .4, .3 * .75 ** 3, .2 * 2 ** 3, .1
    np.testing.assert_allclose(chances(kept), [[0.4 / 0.6, 0, 0.2 / 0.6, 0]], rtol=1e-5)


def test_only_codebook_0_ends_and_only_by_its_best_id():
    eos = 2
    scores = jnp.array([[[1.0, 0, 9, 9, 9], [1, 0, 9, 9, 9]], [[1.0, 0, 0.5, 9, 9], [1, 0, 9, 9, 9]]])
    filtered = np.asarray(sampling.filter_end(scores, eos))
    assert filtered[0, 0].tolist() == [HIDE, HIDE, 9, HIDE, HIDE]
    assert filtered[1, 0].tolist() == [1, 0, HIDE, HIDE, HIDE]
    assert filtered[0, 1].tolist() == filtered[1, 1].tolist() == [1, 0, HIDE, HIDE, HIDE]


def test_top_k_keeps_exactly_k():
    assert sampling.top_k(jnp.array([1.0, 3, 3, 3, 0]), 2).tolist() == [HIDE, 3, 3, HIDE, HIDE]
    assert sampling.top_k(jnp.array([1.0, 3]), 5).tolist() == [1, 3]


@pytest.mark.parametrize("count", [1, 7, 50, 260])
def test_the_worst_of_the_best_is_found_by_bits_as_by_rank(count):
    scores = np.random.default_rng(count).normal(0, 3, (3, 5, 260)).astype(np.float32)
    scores[0] = np.round(scores[0])  # many equals, zeros of both signs
    scores[1, :, 20:] = HIDE
    scores[2, 0, :3] = np.inf, -1e38, 1e-38
    by_rank = sampling._least_by_rank(jnp.asarray(scores), count)
    np.testing.assert_array_equal(sampling._least_by_bits(jnp.asarray(scores), count), by_rank)
    kept = np.asarray(sampling._best(jnp.asarray(scores), count))
    assert (kept.sum(-1) == count).all()
    order = np.argsort(-scores, axis=-1, kind="stable")
    assert np.take_along_axis(kept, order, -1)[..., :count].all()


@pytest.mark.parametrize(("share", "kept"), [(0.45, 1), (0.55, 2), (0.85, 3), (1.0, 4), (1e-6, 1)])
def test_top_p_keeps_the_fewest_that_reach_the_share(share, kept):
    scores = jnp.log(jnp.array([0.1, 0.5, 0.15, 0.25]))
    left = np.asarray(sampling.top_p(scores, share))
    order = [1, 3, 2, 0]
    assert np.isfinite(left)[order].tolist() == [True] * kept + [False] * (4 - kept)
    np.testing.assert_array_equal(sampling.top_p(scores, share, 9), left)


def test_top_p_asks_only_for_what_other_filters_left():
    scores = sampling.top_k(jnp.asarray(np.random.default_rng(0).normal(0, 3, (4, 8, 260)), jnp.float32), 50)
    np.testing.assert_array_equal(sampling.top_p(scores, 0.95, 50), sampling.top_p(scores, 0.95))


def test_top_p_ignores_what_is_already_hidden():
    scores = jnp.log(jnp.array([0.0, 0.6, 0.4, 0.0]))
    assert np.isfinite(np.asarray(sampling.top_p(scores, 0.7))).tolist() == [False, True, True, False]


def test_draws_follow_the_chances_and_only_their_own_key():
    scores = jnp.broadcast_to(jnp.log(jnp.array([0.7, 0.2, 0.1, 0.0])), (4000, 1, 4))
    keys = jax.vmap(jax.random.key)(jnp.arange(4000))
    drawn = np.asarray(sampling.draw(scores, keys))[:, 0]
    assert drawn.dtype == np.int32
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, [0.7, 0.2, 0.1, 0], atol=0.03)
    np.testing.assert_array_equal(sampling.draw(scores[:7], keys[:7])[:, 0], drawn[:7])


def test_no_hidden_id_is_drawn_whatever_the_random_number(monkeypatch):
    """Numbers on and beside every step of the distribution function, and the largest there are."""
    random, scores = np.random.default_rng(0), np.full((1, 4, 1028), HIDE, np.float32)
    for row in scores[0]:
        row[random.choice(1024, 50, replace=False)] = 2 * random.normal(size=50)
    below = np.cumsum(np.asarray(jax.nn.softmax(scores)), axis=-1, dtype=np.float32)[0]
    for number in np.concatenate([below.T + beside for beside in (-1e-7, 0, 1e-7)]):
        clipped = jnp.clip(jnp.asarray(number), 0, np.nextafter(np.float32(1), np.float32(0)))
        monkeypatch.setattr(jax.random, "uniform", lambda key, shape, chosen=clipped: chosen)
        drawn = sampling.draw(jnp.asarray(scores), jax.random.key(0)[None])
        assert np.isfinite(np.take_along_axis(scores[0], np.asarray(drawn)[0, :, None], -1)).all()


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ({"guidance": 0.5}, "guidance is 0.5"),
        ({"temperature": -1}, "temperature is -1"),
        ({"top_k": 0}, "top-k is 0"),
        ({"top_p": 0.0}, "top-p is 0"),
        ({"top_p": 1.5}, "top-p is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(setting, part):
    with pytest.raises(UserError, match=part):
        Sampling(**setting)


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ({"size": 0}, "size of blocks is 0: choose 1 or more"),
        ({"passes": 0}, "number of passes is 0: choose 1 or more"),
        ({"rule": "luck"}, "rule 'luck' is unknown: choose confidence or calibrated"),
        ({"order": "high first"}, "order 'high first' is unknown: choose free or low first"),
        ({"early": 1.0}, "early quantile is 1.0: choose one between 0 and 1"),
        ({"cooling": 0.0}, "cooling is 0: choose more than 0"),
    ],
)
def test_settings_of_blocks_out_of_range_are_refused(setting, part):
    with pytest.raises(UserError, match=part):
        Blocks(**{"size": 8, **setting})
