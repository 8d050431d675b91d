from __future__ import annotations

import jax
import numpy as np
import pytest
import torch

from rosella.inference import sampling as ours
from rosella.pytorch import sampling as theirs

EOS, RANDOM = 12, np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (4, 3, 16)).astype(np.float32)
LOGITS[0, 1, 3:11] = LOGITS[0, 1].max()  # equals, of which the lower ids are kept
LOGITS[1, 0, EOS] = 20


@pytest.mark.parametrize(
    ("name", "settings"),
    [("filter_end", (EOS,)), ("top_p", (0.7,)), ("top_p", (0.05,)), ("_best", (5,)), ("_best", (99,))],
)
def test_each_filter_hides_what_it_hides_in_jax(name, settings):
    made = getattr(theirs, name)(torch.tensor(LOGITS), *settings)
    np.testing.assert_array_equal(made.numpy(), getattr(ours, name)(LOGITS, *settings))


@pytest.mark.parametrize("top_k", [None, 4])
def test_guidance_is_that_of_jax(top_k):
    halves = LOGITS[:2], LOGITS[2:]
    made = theirs.guide(*map(torch.tensor, halves), 2.5, top_k)
    np.testing.assert_allclose(made.numpy(), ours.guide(*halves, 2.5, top_k), rtol=1e-5)


def test_ids_are_drawn_as_often_as_they_are_likely():
    scores = torch.tensor([[[0.5, 0.3, 0.0, 0.2]]]).log().repeat(20_000, 1, 1)
    drawn = theirs.draw(scores, torch.tensor(RANDOM.random((20_000, 1), np.float32)))
    np.testing.assert_allclose(
        np.bincount(drawn[:, 0], minlength=4) / 20_000, [0.5, 0.3, 0.0, 0.2], atol=0.02
    )
    edges = theirs.draw(scores[:2], torch.tensor([[0.0], [1.0]]))
    assert edges[:, 0].tolist() == [0, 3]  # never one that is hidden


def test_the_numbers_drawn_by_are_those_that_jax_looks_up(monkeypatch):
    numbers = RANDOM.random((4, 3)).astype(np.float32)
    rows = iter(numbers)
    monkeypatch.setattr(ours.jax, "vmap", lambda _: lambda keys: np.stack([next(rows) for _ in keys]))
    wanted = ours.draw(jax.numpy.asarray(LOGITS), np.zeros(4))
    np.testing.assert_array_equal(theirs.draw(torch.tensor(LOGITS), torch.tensor(numbers)).numpy(), wanted)
