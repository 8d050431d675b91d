from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella import delay
from rosella.shards.read import Export
from rosella.training import batches, objective, order
from rosella.training.order import Bucket, Split, Texts
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


OVERHEAD = tiny.config().steps(0)


def packed_run(export, steps=9, **data):
    values = {**tiny.recipe("x").data.model_dump(), "export": str(export.directory), "batch_size": None}
    recipe = tiny.recipe("x", data={**values, "batch_frames": 160, "pack": 80, **data})
    split = order.read_split(export, recipe.data, "train")
    buckets = order.choose_buckets([split], recipe.data, OVERHEAD)
    return recipe, split, order.plan_training(split, buckets, recipe.data, steps, recipe.seed, OVERHEAD)


def evaluated(model, batch) -> np.ndarray:
    return np.stack(objective.evaluate(model, batch, tiny.recipe("x"))[""])


def one_by_one(model, codes, split, members):
    """Sums and counts of the loss of single utterances, in one size that is compiled once."""
    total, bucket = 0, Bucket(1, int(split.frames[members].max()), int(split.texts.lengths[members].max()))
    for i in members:
        planned = order.Planned(bucket, np.array([[i]]))
        batch = batches.assemble(codes, split, tiny.config(), planned)
        total = total + np.stack(evaluated(model, jax.tree.map(jnp.asarray, batch)))
    return total


def test_a_packed_batch_equals_its_utterances_one_by_one(export):
    _, split, plan = packed_run(export)
    codes, model = batches.codes_reader(export, split), tiny.model()
    batch = jax.tree.map(jnp.asarray, batches.assemble(codes, split, tiny.config(), plan[0]))
    members = plan[0].members[plan[0].members >= 0]
    assert len(members) > 2 * len(plan[0].members), "rows that hold several"
    made = evaluated(model, batch)
    np.testing.assert_allclose(made, one_by_one(model, codes, split, members), rtol=1e-5)


def test_what_a_neighbour_says_changes_nothing(export):
    """Not even by a bit of the loss: gradients with respect to other utterances' tokens and texts are none."""
    _, split, plan = packed_run(export)
    model = tiny.model()
    batch = batches.assemble(batches.codes_reader(export, split), split, tiny.config(), plan[0])
    letters, steps = int(batch.text_lengths[0, 0]), int(batch.steps[0, 0])
    other = batch._replace(text_ids=batch.text_ids.copy(), tokens=batch.tokens.copy())
    other.text_ids[0, letters:], other.tokens[0, steps:] = 7, 3

    def first(batch):
        text = model.encode(jnp.asarray(batch.text_ids), jnp.asarray(batch.text_lengths))
        return model.decode(jnp.asarray(batch.tokens), text, jnp.asarray(batch.steps))[0, :steps]

    np.testing.assert_array_equal(first(batch), first(other))


def test_every_utterance_of_an_epoch_is_packed_once_and_fits(export):
    _, split, plan = packed_run(export)
    bucket = plan[0].bucket
    rows = np.concatenate([item.members for item in plan])
    for row in rows:
        inside = row[row >= 0]
        assert (split.frames[inside] + OVERHEAD).sum() <= bucket.frames + OVERHEAD
        assert split.texts.lengths[inside].sum() <= bucket.text_bytes
    epoch = -(-len(order.pack(np.arange(len(split)), split, bucket, OVERHEAD)) // bucket.rows)
    seen = np.concatenate([item.members for item in plan[:epoch]])
    assert set(seen[seen >= 0]) == set(range(len(split)))


def podcast(count: int, seed: int = 0) -> Split:
    """Lengths as a podcast has them: gamma-like, 22 s on average, at most 30 s, at 86 frames a second."""
    random = np.random.default_rng(seed)
    seconds = np.clip(30 - random.gamma(2.0, 4.0, count), 1, 30)
    frames = (seconds * 86.13).astype(np.int64)
    texts = Texts([bytes(int(s * random.uniform(9, 17))) for s in seconds])
    return Split(np.arange(count), texts, frames, np.ones(count), np.ones(count, np.float32), {})


@pytest.mark.parametrize(("pack", "texts_too"), [(None, False), (7800, True)])
def test_nine_tenths_of_the_positions_of_a_podcast_are_data(pack, texts_too):
    """Of the decoder's in eight buckets; packed, of the encoder's too."""
    split, overhead = podcast(4000), 16
    values = {"export": "x", "max_frames": 2600, "batch_frames": 31_200, "buckets": 8, "pack": pack}
    data = tiny.recipe("x", data=values).data
    buckets = order.choose_buckets([split], data, overhead)
    plan = order.plan_training(split, buckets, data, 300, 0, overhead)
    assert 21 < split.frames.mean() / 86.13 < 23 and len({bucket for bucket, _ in plan}) <= 8
    used = sum((split.frames[members[members >= 0]] + overhead).sum() for _, members in plan)
    computed = sum(bucket.rows * (bucket.frames + overhead) for bucket, _ in plan)
    if texts_too:
        used += sum(split.texts.lengths[members[members >= 0]].sum() for _, members in plan)
        computed += sum(bucket.rows * bucket.text_bytes for bucket, _ in plan)
    assert used / computed > 0.92


def test_dropped_texts_and_hidden_frames_are_those_of_single_utterances_of_a_row(export):
    recipe, split, plan = packed_run(export)
    recipe = recipe.model_copy(update={"text_dropout": 0.5, "frame_dropout": 0.5})
    batch = batches.assemble(batches.codes_reader(export, split), split, tiny.config(), plan[0])
    found, measured = objective.drop(batch, jax.random.key(1), recipe, tiny.config().decoder)
    outcomes = set()
    for row, (lengths, steps) in enumerate(zip(batch.text_lengths, batch.steps, strict=True)):
        ends, starts = np.cumsum(lengths), np.cumsum(steps) - steps
        for place in np.flatnonzero(steps):
            ids = np.asarray(found.text_ids[row, ends[place] - lengths[place] : ends[place]])
            outcomes.add(bool(ids.any()))
            assert ids.all() or not ids.any()
            np.testing.assert_array_equal(found.tokens[row, starts[place]], batch.tokens[row, starts[place]])
    assert outcomes == {True, False} and 0 < float(measured["text_dropped"]) < 1


def test_a_row_has_places_for_as_many_of_the_shortest_as_fit():
    """Also where they are shorter than what lengths of buckets are rounded to."""
    count, overhead = 200, 3
    ones = np.ones(count)
    texts, frames = Texts([b"a"] * count), np.ones(count, np.int64)
    split = Split(np.arange(count), texts, frames, ones, ones.astype(np.float32), {})
    values = {"export": "x", "max_frames": 40, "batch_frames": 160, "pack": 80}
    (bucket,) = order.choose_buckets([split], tiny.recipe("x", data=values).data, overhead)
    rows = order.pack(np.arange(count), split, bucket, overhead)
    assert sorted(rows[rows >= 0]) == list(range(count)) and (rows >= 0).sum(1).max() == bucket.places == 20
