"""A corpus, a run and a model folder that Rosella made at 25ec2db, in tests/data: all are still of use.

Two recordings of tones with turns, the embedded codec, and two steps of a model of 18,000 parameters.
"""

from __future__ import annotations

import json
import tarfile

import jax
import numpy as np
import pytest
from flax import nnx

from project.test_examples import example
from rosella.convert.conversion import convert
from rosella.corpus.operate.backup import migrate
from rosella.corpus.project import Corpus, catalogue_url
from rosella.errors import UserError
from rosella.runs import read_metrics
from rosella.shards.read import Export
from rosella.training import TrainingRun
from rosella.weights import load_model
from support import ROOT

UNINTERRUPTED = 5.551924228668213
"""The loss of the third step, where that Rosella went on by itself."""


@pytest.fixture
def made(tmp_path, monkeypatch):
    with tarfile.open(ROOT / "tests" / "data" / "made_at_25ec2db.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_corpus_is_counted_and_published_again_as_it_was(made):
    before = json.loads((made / "corpus" / "export.json").read_text())
    texts = Export.open(made / "corpus").index(["text"]).column("text").to_pylist()
    with pytest.raises(UserError, match="run `rosella corpus migrate`"):
        Corpus.open(made / "corpus")
    assert migrate(made / "corpus", catalogue_url(made / "corpus")).backup
    with Corpus.open(made / "corpus") as corpus:
        status = corpus.status()
        assert (status.recordings, status.usable, status.failed) == (2, 6, [])
        assert corpus.export().utterances == 6
    after = json.loads((made / "corpus" / "export.json").read_text())
    assert [told["licence"] for told in after.pop("recordings").values()] == ["CC0-1.0"] * 2
    assert after == before
    assert texts == Export.open(made / "corpus").index(["text"]).column("text").to_pylist()


def test_a_run_goes_on_and_its_checkpoint_is_the_model_it_wrote(made):
    (checkpoint,) = (made / "run" / "checkpoints").iterdir()
    one, other = (load_model(path)[0] for path in (checkpoint, made / "run" / "model"))
    for left, right in zip(*(jax.tree.leaves(nnx.state(model)) for model in (one, other)), strict=True):
        np.testing.assert_array_equal(left, right)
    convert(checkpoint, made / "nari", "nari")
    shown = example("training.md").replace("recipes/dia.yaml", "recipe.yaml").replace("runs/dia", "run")
    with pytest.raises(UserError, match=r"was started with data\.sampling_weights=False, not True"):
        exec(shown.replace("data.export=my-corpus", "steps=3"), {})  # its default was another then
    exec(shown.replace('data.export=my-corpus"', 'steps=3", "data.sampling_weights=false"'), {})
    assert TrainingRun("run").finished(3)
    lines = [line for line in read_metrics("run/metrics.jsonl") if line["split"] == "train"]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] == pytest.approx(UNINTERRUPTED, rel=1e-5)
