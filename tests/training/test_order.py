from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosella.training import order
from training import tiny
from training.tiny import planned_run


def test_an_epoch_holds_every_utterance_and_epochs_differ(export):
    split, _, plan = planned_run(export, steps=14)
    epochs = [plan[:7], plan[7:]]
    for epoch in epochs:
        members = np.concatenate([item.members for item in epoch])
        assert len(members) == 28 and set(members.flat) == set(range(len(split))) and len(split) == 26
    assert [p.members.tolist() for p in epochs[0]] != [p.members.tolist() for p in epochs[1]]


def test_the_order_depends_on_the_seed_alone(export):
    def members(**changes):
        return [item.members.tolist() for item in planned_run(export, **changes)[2]]

    assert members() == members() != members(seed=1)
    assert members(steps=9) == members()[:9], "a longer run begins like a shorter one"


def test_what_does_not_fit_is_counted_by_reason(export):
    limits = tiny.recipe(
        export.directory, data={"export": "x", "batch_size": 2, "max_frames": 20, "max_text_bytes": 12}
    )
    split = order.read_split(export, limits.data, "train")
    texts, frames = (export.index(["text", "frames"]).column(i).to_pylist()[4:] for i in (0, 1))
    long = sum(f > 20 for f in frames)
    wordy = sum(f <= 20 and len(t.encode()) - 3 > 12 for t, f in zip(texts, frames, strict=True))
    assert split.rejects == {
        "longer than data.max_frames 20": long,
        "text longer than data.max_text_bytes 12": wordy,
    }
    assert len(split) == 26 - long - wordy and wordy and long


def test_weighted_sampling_draws_by_weight(export):
    data = {**tiny.recipe(export.directory).data.model_dump(), "sampling_weights": True, "buckets": 2}
    split, _, plan = planned_run(export, steps=700, data=data)
    drawn = np.bincount(np.concatenate([item.members[:, 0] for item in plan]), minlength=len(split))
    rates = [drawn[split.weights == weight].mean() for weight in (1, 2, 3)]
    np.testing.assert_allclose(np.array(rates) / rates[0], [1, 2, 3], rtol=0.1)


@pytest.mark.parametrize("weights", [np.ones(7), np.array([1.0, 1.0, 2.0, 0.5, 0.5, 3.0, 6.0])])
def test_an_epoch_draws_each_as_often_as_its_weight_says_rounded(weights):
    ones = np.ones(7, np.float32)
    split = order.Split(np.arange(7), order.Texts([b"a"] * 7), np.full(7, 8), weights, ones, {})
    for epoch in range(50):
        drawn = order._epoch_order(split, True, np.random.default_rng(epoch))
        times, wanted = np.bincount(drawn, minlength=7), weights / weights.mean()
        assert len(drawn) == 7 and np.all(np.abs(times - wanted) < 1)


@given(st.lists(st.integers(1, 12).map(lambda n: 8 * n), min_size=1, max_size=30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_bucket_edges_waste_least(lengths, count):
    def waste(edges):
        return sum(min(edge for edge in edges if edge >= length) for length in lengths)

    sizes = sorted(set(lengths))
    chosen = order._best_edges(np.array(lengths), count)
    every = (
        edges
        for n in range(1, count + 1)
        for edges in itertools.combinations(sizes, n)
        if edges[-1] == sizes[-1]
    )
    assert waste(chosen) == min(map(waste, every)) and len(chosen) <= count
