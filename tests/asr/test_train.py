from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr.tones import items_of, write_corpus
from rosella.asr.batches import assemble
from rosella.asr.evaluation import evaluate_recogniser, transcribe_examples
from rosella.asr.examples import read_examples
from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser, encode
from rosella.asr.run import AsrRun
from rosella.asr.scores import score
from rosella.asr.train import Objective, train
from rosella.errors import UserError
from rosella.recipes import OptimizerRecipe, load_recipe, save_recipe
from rosella.runs import read_metrics
from support import python

CHILD = str(Path(__file__).with_name("child.py"))


def run_in(folder: Path, recipe: AsrRecipe, report=lambda values: None):
    with AsrRun.locked(folder) as run:
        return train(recipe, run, report)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the child: sums in another order differ
    yield
    torch.set_num_threads(threads)


def test_killed_at_any_step_it_ends_with_the_same_weights(recipe, tmp_path):
    save_recipe(recipe, tmp_path / "recipe.yaml")
    run_in(tmp_path / "straight", recipe)
    for step in ("3", "6"):
        died = python(CHILD, str(tmp_path / "recipe.yaml"), str(tmp_path / "killed"), step)
        assert died.returncode == -signal.SIGKILL, died.stderr
    notes: list[str] = []
    run_in(tmp_path / "killed", recipe, lambda values: notes.append(values.get("note", "")))
    assert "Resumed at step 4." in notes
    assert_same(weights(tmp_path / "killed"), weights(tmp_path / "straight"))
    metrics = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("killed", "straight")]
    losses = [[line["loss"] for line in lines if line["split"] == "train"] for lines in metrics]
    assert len(losses[0]) == 6 and losses[0] == losses[1]


def test_several_threads_train_to_the_same_weights_each_time(recipe, tmp_path):
    model = {"new": {"width": 256, "encoder_layers": 1, "decoder_layers": 1, "seconds": 2, "max_tokens": 48}}
    wide = AsrRecipe.model_validate({**recipe.model_dump(), "model": model, "batch_size": 24, "steps": 4})
    torch.set_num_threads(4)
    try:
        for name in "abc":
            run_in(tmp_path / name, wide)
    finally:
        torch.set_num_threads(1)
    for name in "bc":
        assert_same(weights(tmp_path / "a"), weights(tmp_path / name))


def test_an_interrupt_saves_and_the_run_goes_on(recipe, tmp_path):
    run_in(tmp_path / "straight", recipe)

    def report(values):
        if values.get("split") == "train" and values["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = run_in(tmp_path / "stopped", recipe, report)
    assert not stopped.finished and stopped.step == 4
    assert run_in(tmp_path / "stopped", recipe).finished
    assert_same(weights(tmp_path / "stopped"), weights(tmp_path / "straight"))


def test_a_damaged_checkpoint_is_left_out(recipe, tmp_path):
    run_in(tmp_path, recipe)
    newest = max((tmp_path / "checkpoints").iterdir())
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.write_bytes(damaged)
    notes: list[str] = []
    run_in(tmp_path, recipe, lambda values: notes.append(values.get("note", "")))
    assert f"Checkpoint {newest} is damaged (its content is not what was written) and left out." in notes
    assert "Resumed at step 4." in notes


def test_a_run_is_not_continued_with_other_examples_or_another_recipe(recipe, tones, tmp_path):
    run_in(tmp_path, recipe)
    with pytest.raises(UserError, match="batch_size"), AsrRun.locked(tmp_path) as run:
        run.check(recipe.model_copy(update={"batch_size": 2}))
    other = write_corpus(tmp_path / "other", count=12)
    (tmp_path / "recipe.yaml").unlink()
    with pytest.raises(UserError, match="examples changed"):
        run_in(tmp_path, recipe.model_copy(update={"examples": [str(other)]}))


def test_small_batches_in_a_row_train_like_a_large_one(recipe, tmp_path):
    plain = recipe.model_copy(update={"dropout": 0.0, "steps": 2})
    run_in(tmp_path / "large", plain)
    run_in(tmp_path / "small", plain.model_copy(update={"micro_batch": 1}))
    small, large = weights(tmp_path / "small"), weights(tmp_path / "large")
    for name, value in large.items():
        torch.testing.assert_close(small[name], value, rtol=1e-3, atol=2e-5)


def test_recomputing_activations_changes_no_weights(recipe, tmp_path):
    run_in(tmp_path / "kept", recipe.model_copy(update={"steps": 2}))
    run_in(tmp_path / "recomputed", recipe.model_copy(update={"steps": 2, "gradient_checkpointing": True}))
    assert_same(weights(tmp_path / "kept"), weights(tmp_path / "recomputed"))


def test_lora_trains_little_and_leaves_an_ordinary_whisper(recipe, tiny, tmp_path):
    tiny.save(tmp_path / "start")
    lora = {
        "model": {"weights": str(tmp_path / "start")},
        "lora": {"rank": 2, "alpha": 4},
        "freeze_encoder": True,
        "steps": 3,
    }
    changed = AsrRecipe.model_validate({**recipe.model_dump(), **lora})
    run_in(tmp_path / "run", changed)
    before, after = load_file(tmp_path / "start" / "model.safetensors"), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    different = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert different and all(name.startswith("model.decoder.layers") for name in different)
    saved = load_file(max((tmp_path / "run" / "checkpoints").iterdir()))
    assert sum(value.numel() for value in saved.values()) < sum(value.numel() for value in before.values())
    Recogniser.load(tmp_path / "run" / "model", "cpu")


def test_what_a_trained_recogniser_says_of_itself(recipe, tmp_path):
    run_in(tmp_path / "both", recipe.model_copy(update={"steps": 1, "language_tokens": {"fy": "nl"}}))
    both = Recogniser.load(tmp_path / "both" / "model", "cpu")
    assert both.kinds == ("verbatim", "clean") and both.settings.short_windows
    assert both.languages["fy"] == both.languages["nl"]
    one = recipe.model_copy(update={"steps": 1, "transcripts": ("verbatim",)})
    run_in(tmp_path / "one", one)
    assert Recogniser.load(tmp_path / "one" / "model", "cpu").settings.prompts == {
        "verbatim": "<|transcribe|>"
    }


def test_a_stand_in_for_a_language_must_be_known(recipe, tmp_path):
    with pytest.raises(UserError, match="'fr' to stand in for 'oc'"):
        run_in(tmp_path, recipe.model_copy(update={"language_tokens": {"oc": "fr"}}))


def test_examples_without_a_language_need_one_in_the_recipe(recipe, tmp_path):
    unnamed = recipe.model_copy(
        update={"examples": [str(write_corpus(tmp_path / "x", language=None))], "steps": 1}
    )
    with pytest.raises(UserError, match="set `language`"):
        run_in(tmp_path / "none", unnamed)
    assert run_in(tmp_path / "set", unnamed.model_copy(update={"language": "nl"})).finished


@pytest.mark.slow
def test_several_devices_train_like_one(recipe, tmp_path):
    plain = recipe.model_copy(update={"dropout": 0.0, "steps": 3})
    save_recipe(plain, tmp_path / "recipe.yaml")
    run_in(tmp_path / "one", plain)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", CHILD]
    done = python(*launch, str(tmp_path / "recipe.yaml"), str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=2e-5)
    assert len(read_metrics(tmp_path / "two" / "metrics.jsonl")) == len(
        read_metrics(tmp_path / "one" / "metrics.jsonl")
    )


@pytest.mark.slow
def test_it_learns_to_write_what_is_said_and_not_what_is_usual(recipe, tmp_path):
    """Forty seconds: unseen strings of words, both transcripts, and nothing where nothing is said."""
    corpus = write_corpus(tmp_path / "corpus", count=600, longest=5)
    learning = recipe.model_copy(
        update={
            "examples": [str(corpus)],
            "dropout": 0.0,
            "spec_augment": None,
            "batch_size": 16,
            "steps": 400,
            "silence": 0.05,
            "checkpoint": recipe.checkpoint.model_copy(update={"every": 400}),
            "evaluate": recipe.evaluate.model_copy(update={"every": 400}),
            "optimizer": OptimizerRecipe(lr=3e-3, schedule="wsd", warmup=20, decay=100),
        }
    )
    outcome = run_in(tmp_path / "run", learning)
    test = read_examples(corpus, "test")
    for kind in ("verbatim", "clean"):
        scores = score(transcribe_examples(outcome.recogniser, test, kind).values()).summary()
        assert scores["wer"] < 0.1, json.dumps(scores)
    found = evaluate_recogniser(outcome.recogniser, test, "verbatim")
    assert found.summary["filler_recall"] > 0.95
    assert found.noise["silence"]["with_text"] == 0
    assert found.noise["noise"]["wer"] >= 0.9


def test_recipes_are_checked(recipe, tmp_path):
    save_recipe(recipe, tmp_path / "r.yaml")
    assert load_recipe(AsrRecipe, tmp_path / "r.yaml") == recipe
    with pytest.raises(UserError, match="did you mean silence"):
        load_recipe(AsrRecipe, tmp_path / "r.yaml", ["silense=0.1"])
    with pytest.raises(UserError, match="either model.weights"):
        load_recipe(AsrRecipe, tmp_path / "r.yaml", ["model.weights=x"])


def test_the_encoder_learns_to_spell_alone_and_only_in_training(recipe, tiny):
    items = [item for item in items_of(recipe, tiny) if len(item.rows) == 2][:2]
    plain = recipe.model_copy(update={"silence": 0.0})
    batch = assemble([(item, "0") for item in items], tiny, plain)
    objective = Objective(tiny.model, ctc=0.5)
    words = objective.eval()(batch).item()
    assert objective.train()(batch).item() > words * 1.1
    objective.zero_grad()
    states = encode(tiny.model, batch.features)
    objective._spelling(states, batch.said).backward()
    assert tiny.model.model.encoder.conv1.weight.grad.abs().sum() > 0
    assert tiny.model.proj_out.weight.grad is None
    silent = assemble([(items[0], "0")], tiny, recipe.model_copy(update={"silence": 1.0}))
    assert torch.isfinite(objective._spelling(encode(tiny.model, silent.features), silent.said))
