"""Several utterances in a row: nobody hears the neighbours, and nearly every computed position counts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.training import batches, objective, order
from rosella.training.order import Bucket, Split, Texts
from training import tiny

OVERHEAD = tiny.config().steps(0)


def packed_run(export, steps=9, **data):
    values = {**tiny.recipe("x").data.model_dump(), "export": str(export.directory), "batch_size": None}
    recipe = tiny.recipe("x", data={**values, "batch_frames": 160, "pack": 80, **data})
    split = order.read_split(export, recipe.data, "train")
    buckets = order.choose_buckets([split], recipe.data, OVERHEAD)
    return recipe, split, order.plan_training(split, buckets, recipe.data, steps, recipe.seed, OVERHEAD)


def one_by_one(model, codes, split, members):
    """Sums and counts of the loss of single utterances."""
    total = 0
    for i in members:
        bucket = Bucket(1, int(split.frames[i]), int(split.texts.lengths[i]))
        planned = order.Planned(bucket, np.array([[i]]))
        batch = batches.assemble(codes, split, tiny.config(), planned)
        total = total + np.stack(objective.evaluate(model, jax.tree.map(jnp.asarray, batch)))
    return total


def test_a_packed_batch_equals_its_utterances_one_by_one(export):
    _, split, plan = packed_run(export)
    codes, model = batches.codes_reader(export, split), tiny.model()
    batch = jax.tree.map(jnp.asarray, batches.assemble(codes, split, tiny.config(), plan[0]))
    members = plan[0].members[plan[0].members >= 0]
    assert len(members) > 2 * len(plan[0].members), "rows that hold several"
    made = np.stack(objective.evaluate(model, batch))
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
