from __future__ import annotations

from collections import Counter

import torch

from asr.tones import items_of, write_corpus
from rosella.asr.batches import IGNORED, Batches, assemble, read_items, spec_augment, stream
from rosella.asr.examples import read_examples
from rosella.asr.recipe import SpecAugmentRecipe


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_targets_are_the_inputs_shifted_with_the_task_not_learnt(recipe, tiny):
    (batch,) = Batches(items_of(recipe, tiny), tiny, recipe.model_copy(update={"silence": 0.0})).at(0)
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        end = targets.index(tiny.end)
        assert targets[:3] == [inputs[1], IGNORED, IGNORED]
        assert targets[3:end] == inputs[4 : end + 1]
        assert set(targets[end + 1 :]) <= {IGNORED}
    assert batch.features.shape[0] == recipe.batch_size
    assert batch.source.tolist() == sorted(batch.source.tolist()) and set(batch.source.tolist()) == {
        0,
        1,
        2,
        3,
    }


def test_both_transcripts_of_an_example_are_asked_for_by_prompt(recipe, tiny):
    batches = Batches(items_of(recipe, tiny), tiny, recipe.model_copy(update={"silence": 0.0}))
    (batch,) = batches.at(0)
    tasks = {row: prompt for prompt in ("<|startoflm|>", "<|transcribe|>") for row in [tiny.token(prompt)]}
    for source in range(recipe.batch_size):
        example = batches.items[batches.chosen(0)[source]].example
        for row in torch.nonzero(batch.source == source)[:, 0].tolist():
            said = tiny.text(batch.inputs[row, 4:].tolist())
            expected = (
                example.text if tasks[int(batch.inputs[row, 2])] == "<|startoflm|>" else example.text_clean
            )
            assert said == expected


def test_silence_teaches_to_write_nothing(recipe, tiny):
    (batch,) = Batches(items_of(recipe, tiny), tiny, recipe.model_copy(update={"silence": 0.999})).at(0)
    assert batch.targets.shape[1] == 4
    assert set(batch.targets[:, 0].tolist()) == {tiny.no_speech}
    assert set(batch.targets[:, 3].tolist()) == {tiny.end}


def test_every_example_comes_once_an_epoch(recipe, tiny):
    items = items_of(recipe, tiny)
    batches = Batches(items, tiny, recipe)
    assert len(items) == 16
    first = Counter(index for step in range(4) for index in batches.chosen(step))
    assert set(first.values()) == {1} and len(first) == 16
    assert [batches.chosen(step) for step in range(4)] != [batches.chosen(step) for step in range(4, 8)]


def test_short_examples_come_first_only_in_the_first_epoch(recipe, tiny):
    batches = Batches(items_of(recipe, tiny), tiny, recipe.model_copy(update={"short_first": True}))

    def seconds(step):
        return [round(batches.items[index].example.seconds, 2) for index in batches.chosen(step)]

    rising = [length for step in range(4) for length in seconds(step)]
    assert rising == sorted(rising)
    later = [length for step in range(4, 12) for length in seconds(step)]
    assert later != sorted(later)


def test_a_batch_depends_on_its_step_alone(recipe, tiny):
    items = items_of(recipe, tiny)
    straight = [micro[0] for micro in stream(Batches(items, tiny, recipe), 0, workers=2)]
    resumed = [micro[0] for micro in stream(Batches(items, tiny, recipe), 3, workers=0)]
    assert len(straight) == 6 and len(resumed) == 3
    assert all(same(a, b) for a, b in zip(straight[3:], resumed, strict=True))
    assert not same(straight[0], straight[1])


def test_devices_and_micro_batches_share_the_batch(recipe, tiny):
    items = items_of(recipe, tiny)
    (whole,) = Batches(items, tiny, recipe).at(1)
    parts = [Batches(items, tiny, recipe.model_copy(update={"micro_batch": 1}), n, 2).at(1) for n in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    rows = sorted(
        tuple(i for i in row if i >= 0) for part in parts for b in part for row in b.targets.tolist()
    )
    assert rows == sorted(tuple(i for i in row if i >= 0) for row in whole.targets.tolist())


def test_what_cannot_be_learnt_is_counted(recipe, tiny, tmp_path):
    examples = read_examples(write_corpus(tmp_path, count=12, longest=9), "train")
    items, rejects = read_items(examples, tiny, recipe)
    assert len(items) + rejects.total() == len(examples)
    assert any("longer than the window of 2 s" in reason for reason in rejects)


def test_masks_stay_within_their_widths():
    plain = torch.randn(80, 200)
    masked = plain.clone()
    spec_augment(masked, SpecAugmentRecipe(time_masks=2, time_width=0.1, mel_masks=1, mel_width=8), "a")
    changed = masked != plain
    assert 0 < changed.all(1).sum() <= 8
    assert 0 < changed.all(0).sum() <= 40
    again = plain.clone()
    spec_augment(again, SpecAugmentRecipe(time_masks=2, time_width=0.1, mel_masks=1, mel_width=8), "a")
    assert torch.equal(again, masked)


def test_what_is_said_stands_alone_for_the_encoder(recipe, tiny):
    recipe = recipe.model_copy(update={"silence": 0.0})
    items = items_of(recipe, tiny)[:3]
    batch = assemble([(item, str(number)) for number, item in enumerate(items)], tiny, recipe)
    for item, row in zip(items, batch.said.tolist(), strict=True):
        assert tiny.text([token for token in row if token != IGNORED]) == item.example.text
    silent = assemble([(items[0], "0")], tiny, recipe.model_copy(update={"silence": 1.0}))
    assert silent.said.shape == (1, 0)
