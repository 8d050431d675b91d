from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosella import delay
from rosella.corpus.shards import Export
from rosella.errors import UserError
from rosella.training import batches
from training import tiny


def planned_run(export: Export, steps: int = 20, **changes):
    two = {**tiny.recipe(export.directory).data.model_dump(), "buckets": 2}
    recipe = tiny.recipe(export.directory, **{"data": two, **changes})
    split = batches.read_split(export, recipe.data, "train")
    buckets = batches.choose_buckets([split], recipe.data)
    return split, buckets, batches.plan_training(split, buckets, recipe.data, steps, recipe.seed)


def stream_of(export: Export):
    split, _, plan = planned_run(export)
    return batches.stream(batches.codes_reader(export, split), split, tiny.config(), plan)


def assert_equal(some, others):
    for left, right in itertools.zip_longest(some, others):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)


def test_restored_at_every_step_the_rest_is_the_same(export):
    whole, states = [], []
    stream = stream_of(export)
    for _ in range(20):
        states.append(stream.get_state())
        whole.append(next(stream))
    with pytest.raises(StopIteration):
        next(stream)
    for step, state in enumerate(states):
        restored = stream_of(export)
        restored.set_state(state)
        assert_equal(list(restored), whole[step:])


def test_an_epoch_holds_every_utterance_and_epochs_differ(export):
    split, _, plan = planned_run(export, steps=14)
    epochs = [plan[:7], plan[7:]]
    for epoch in epochs:
        members = np.concatenate([item.members for item in epoch])
        assert len(members) == 28 and set(members) == set(range(len(split))) and len(split) == 26
    assert [p.members.tolist() for p in epochs[0]] != [p.members.tolist() for p in epochs[1]]


def test_the_order_depends_on_the_seed_alone(export):
    def members(**changes):
        return [item.members.tolist() for item in planned_run(export, **changes)[2]]

    assert members() == members() != members(seed=1)
    assert members(steps=9) == members()[:9], "a longer run begins like a shorter one"


def test_utterances_lie_in_the_smallest_bucket_but_for_leftovers(export):
    split, buckets, plan = planned_run(export, steps=7)
    assert len(buckets) == 2
    promoted = 0
    for bucket, members in plan:
        assert split.frames[members].max() <= bucket.frames
        assert max(len(split.texts[i]) for i in members) <= bucket.text_bytes
        promoted += int((bucket == buckets[1]) * (split.frames[members] <= buckets[0].frames).sum())
    assert promoted <= buckets[0].rows - 1 + 2, (
        "leftovers of the first bucket, and what completes the last batch"
    )


def test_a_batch_is_the_delayed_codes_shifted_by_one(export):
    split, _, plan = planned_run(export)
    batch = next(stream_of(export))
    config = tiny.config()
    assert batch.tokens.shape == (4, plan[0].bucket.frames + 1 + 2, 3) == batch.targets.shape
    assert batch.text_ids.shape == (4, plan[0].bucket.text_bytes)
    np.testing.assert_array_equal(batch.tokens[:, 1:], batch.targets[:, :-1])
    for row, member in enumerate(plan[0].members):
        sequence = np.concatenate([batch.tokens[row, :1], batch.targets[row]])
        codes, valid = delay.undo(sequence, config.delay_pattern, config.decoder.eos_token_id)
        assert valid.all()
        np.testing.assert_array_equal(codes, export.codes(int(split.rows[member])))
        np.testing.assert_array_equal(batch.text_ids[row, : batch.text_lengths[row]], split.texts[member])
        assert not batch.text_ids[row, batch.text_lengths[row] :].any()


def test_validation_sees_each_utterance_once_and_empty_rows_count_nothing(export):
    recipe = tiny.recipe(export.directory)
    split = batches.read_split(export, recipe.data, "train")
    buckets = batches.choose_buckets([split], recipe.data)
    plan = batches.plan_validation(split, buckets, 100)
    members = np.concatenate([item.members for item in plan])
    assert sorted(members[members >= 0]) == list(range(26)) and (members < 0).sum() == 2
    codes = batches.codes_reader(export, split)
    last = batches.assemble(codes, split, tiny.config(), plan[-1])
    decoder = tiny.config().decoder
    counted = delay.learnable(last.targets, decoder.bos_token_id, decoder.pad_token_id)
    assert counted[-1].sum() == 0 and last.text_lengths[-1] == 1 and counted[0].any()
    assert len(batches.plan_validation(split, buckets, 3)) == 3


def test_codes_beyond_memory_are_read_from_their_shards(export, monkeypatch):
    expected = list(stream_of(export))
    monkeypatch.setattr(batches, "CODES_IN_MEMORY", 10)
    assert_equal(stream_of(export), expected)


def test_what_does_not_fit_is_counted_by_reason(export):
    limits = tiny.recipe(
        export.directory, data={"export": "x", "batch_size": 2, "max_frames": 20, "max_text_bytes": 12}
    )
    split = batches.read_split(export, limits.data, "train")
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
    drawn = np.bincount(np.concatenate([item.members for item in plan]), minlength=len(split))
    rates = [drawn[split.weights == weight].mean() for weight in (1, 2, 3)]
    np.testing.assert_allclose(np.array(rates) / rates[0], [1, 2, 3], rtol=0.1)


def test_loss_weights_reach_the_batch_where_asked_for(export):
    data = tiny.recipe(export.directory).data.model_dump()
    weighted, _, (first, *_) = planned_run(export, steps=1, data={**data, "loss_weights": True})
    batch = batches.assemble(batches.codes_reader(export, weighted), weighted, tiny.config(), first)
    expected = export.index(["id"]).column("loss_weight").to_numpy()[weighted.rows[first.members]]
    assert len(set(expected)) > 1
    np.testing.assert_allclose(batch.weights, expected)
    plain, _, _ = planned_run(export, steps=1, data=data)
    assert set(plain.loss_weights) == {1.0}


@given(st.lists(st.integers(1, 12).map(lambda n: 8 * n), min_size=1, max_size=30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_bucket_edges_waste_least(lengths, count):
    def waste(edges):
        return sum(min(edge for edge in edges if edge >= length) for length in lengths)

    sizes = sorted(set(lengths))
    chosen = batches._best_edges(np.array(lengths), count)
    every = (
        edges
        for n in range(1, count + 1)
        for edges in itertools.combinations(sizes, n)
        if edges[-1] == sizes[-1]
    )
    assert waste(chosen) == min(map(waste, every)) and len(chosen) <= count


def test_dropped_text_is_zeroed_and_the_share_is_right():
    ids = np.full((2000, 5), 7, np.int32)
    result, dropped = batches.drop_text(ids, jax.random.key(0), 0.2)
    np.testing.assert_array_equal(np.asarray(result), np.where(np.asarray(dropped)[:, None], 0, ids))
    assert 0.17 < dropped.mean() < 0.23
    assert not batches.drop_text(ids, jax.random.key(0), 0.0)[1].any()


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"max_frames": 2}, "max_frames is 2, but the delay pattern alone takes 2"),
        ({"max_frames": 62}, "max_frames 62 needs 65 decoder positions, the model has 64"),
        ({"max_text_bytes": 65}, "max_text_bytes is 65, the model reads at most 64"),
    ],
)
def test_limits_the_model_cannot_hold_are_refused(export, limits, sentence):
    data = {"export": "x", "batch_size": 2, "max_frames": 40, "max_text_bytes": 60, **limits}
    with pytest.raises(UserError, match=sentence):
        batches.check_export(export, tiny.config(), tiny.recipe("x", data=data).data)


def test_codes_of_another_shape_are_refused(export):
    from rosella.model.config import mini

    with pytest.raises(UserError, match="3 codebooks of 16 entries, the model expects 8 of 256"):
        batches.check_export(export, mini(), tiny.recipe(export.directory).data)
