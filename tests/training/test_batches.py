from __future__ import annotations

import itertools

import numpy as np
import pytest

from rosella import delay
from rosella.shards.read import Export
from rosella.training import batches, order
from training import tiny
from training.tiny import planned_run


def stream_of(export: Export):
    split, _, plan = planned_run(export)
    codes = batches.codes_reader(export, split)
    return batches.stream(plan, lambda item: batches.assemble(codes, split, tiny.config(), item))


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


def test_utterances_lie_in_the_smallest_bucket_but_for_leftovers(export):
    split, buckets, plan = planned_run(export, steps=7)
    assert len(buckets) == 2
    promoted = 0
    for bucket, members in plan:
        assert split.frames[members].max() <= bucket.frames
        assert split.texts.lengths[members].max() <= bucket.text_bytes
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
    for row, member in enumerate(plan[0].members[:, 0]):
        inside = slice(1, batch.steps[row, 0])
        np.testing.assert_array_equal(batch.tokens[row, inside], batch.targets[row, : inside.stop - 1])
        sequence = np.concatenate([batch.tokens[row, :1], batch.targets[row]])
        codes, valid = delay.undo(sequence, config.delay_pattern, config.decoder.eos_token_id)
        assert valid.all()
        np.testing.assert_array_equal(codes, export.codes(int(split.rows[member])))
        np.testing.assert_array_equal(batch.text_ids[row, : batch.text_lengths[row, 0]], split.texts[member])
        assert not batch.text_ids[row, batch.text_lengths[row, 0] :].any()


def test_validation_sees_each_utterance_once_and_empty_rows_count_nothing(export):
    recipe = tiny.recipe(export.directory)
    split = order.read_split(export, recipe.data, "train")
    overhead = tiny.config().steps(0)
    buckets = order.choose_buckets([split], recipe.data, overhead)
    plan = order.plan_validation(split, buckets, 100, overhead)
    members = np.concatenate([item.members for item in plan])
    assert sorted(members[members >= 0]) == list(range(26)) and (members < 0).sum() == 2
    codes = batches.codes_reader(export, split)
    last = batches.assemble(codes, split, tiny.config(), plan[-1])
    decoder = tiny.config().decoder
    counted = delay.learnable(last.targets, decoder.bos_token_id, decoder.pad_token_id)
    assert counted[-1].sum() == 0 and last.text_lengths[-1, 0] == 1 and counted[0].any()
    assert len(order.plan_validation(split, buckets, 3, overhead)) == 3


def test_codes_beyond_memory_are_read_from_their_shards(export, monkeypatch):
    expected = list(stream_of(export))
    monkeypatch.setattr(batches, "CODES_IN_MEMORY", 10)
    assert_equal(stream_of(export), expected)


def test_loss_weights_reach_the_batch_where_asked_for(export):
    data = tiny.recipe(export.directory).data.model_dump()
    weighted, _, (first, *_) = planned_run(export, steps=1, data={**data, "loss_weights": True})
    batch = batches.assemble(batches.codes_reader(export, weighted), weighted, tiny.config(), first)
    expected = export.index(["id"]).column("loss_weight").to_numpy()[weighted.rows[first.members]]
    assert len(np.unique(expected)) > 1
    np.testing.assert_allclose(batch.weights, expected)
    plain, _, _ = planned_run(export, steps=1, data=data)
    assert set(plain.loss_weights) == {1.0}


def test_only_the_asked_rows_are_read_and_those_beyond_the_end_are_empty(export: Export):
    split, _, plan = planned_run(export)
    codes, read = batches.codes_reader(export, split), []
    taken = batches.take_rows(plan[0], np.array([1, 3, 4, 5]))
    part = batches.assemble(lambda i: read.append(i) or codes(i), split, tiny.config(), taken)
    whole = batches.assemble(codes, split, tiny.config(), plan[0])
    assert read == plan[0].members[[1, 3], 0].tolist()
    for own, all_rows in zip(part, whole, strict=True):
        np.testing.assert_array_equal(own[:2], all_rows[[1, 3]])
    assert part.weights[2:].tolist() == [[0], [0]] and part.text_lengths[2:].tolist() == [[1], [1]]
    assert (part.targets[2:] == tiny.config().decoder.pad_token_id).all()
