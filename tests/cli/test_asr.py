from __future__ import annotations

import json

import pytest
import yaml

from asr.tones import write_corpus
from rosella.asr.evaluation import RecogniserEvaluation
from rosella.asr.scores import Pair, score
from rosella.cli import main
from rosella.cli.asr import table
from support import rosella


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """`rosella` in `tmp_path`: its exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["asr", *arguments])
        said = capfd.readouterr()
        return stop.value.code or 0, said.out, said.err

    return call


def test_train_and_evaluate(tmp_path, run):
    corpus = write_corpus(tmp_path / "corpus")
    recipe = {
        "model": {
            "new": {"width": 32, "encoder_layers": 1, "decoder_layers": 1, "seconds": 2, "max_tokens": 24}
        },
        "examples": [str(corpus)],
        "optimizer": {"schedule": "constant"},
        "batch_size": 4,
        "steps": 2,
    }
    (tmp_path / "tones.yaml").write_text(yaml.safe_dump(recipe))
    refused = run("train", "tones.yaml", "examples=[nowhere]")
    assert refused[0] == 2 and not (tmp_path / "runs").exists(), refused
    trained = rosella("asr", "train", "tones.yaml", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "Trained 2 steps; the recogniser is in runs/tones/model." in trained.stdout
    assert "Already done" in run("train", "tones.yaml")[1]
    evaluate = ("evaluate", str(corpus), "--model", "runs/tones/model")
    code, out, err = run(*evaluate, "--out", "scores", "--json")
    assert code == 0, err
    scores = json.loads(out)
    assert scores["summary"]["examples"] == 4 and scores["noise"]["silence"]["examples"] == 4
    page = (tmp_path / "scores" / "report.html").read_text("utf-8")
    assert page.count("<audio") == 4 and "someone" in page
    wrong = run(*evaluate, "--transcript", "clean")
    assert wrong[0] == 2 and "writes no clean transcripts" in wrong[2]


def test_the_table_says_of_what_each_share_is():
    """Two fillers said and one written; two stutters written and one said."""
    pairs = [Pair("uh ja eh nee", "uh ja nee", "nl"), Pair("ga- ga naar huis", "ga- ga naar- huis", "nl")]
    summary = {**score(pairs).summary(), "compressed": 0}
    lines = table(RecogniserEvaluation("verbatim", summary, {}, {}, [], {})).splitlines()[1:]
    assert len({len(line) for line in lines}) == 1
    rows = {line[:-8].strip(): line[-8:].strip() for line in lines}
    assert rows["of the fillers said, so many were written"] == "50.0%"
    assert rows["of the fillers written, so many were said"] == "100.0%"
    assert rows["of the stutters said, so many were written"] == "100.0%"
    assert rows["of the stutters written, so many were said"] == "50.0%"
