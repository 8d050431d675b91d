from __future__ import annotations

import json

import yaml

from asr.tones import write_corpus
from rosella.asr.evaluation import RecogniserEvaluation
from rosella.asr.scores import Pair, score
from rosella.cli.asr import table
from support import rosella


def test_train_and_evaluate(tmp_path):
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
    refused = rosella("asr", "train", "tones.yaml", "examples=[nowhere]", cwd=tmp_path)
    assert refused.returncode == 2 and not (tmp_path / "runs").exists(), refused.stderr
    trained = rosella("asr", "train", "tones.yaml", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "Trained 2 steps; the recogniser is in runs/tones/model." in trained.stdout
    assert "Already done" in rosella("asr", "train", "tones.yaml", cwd=tmp_path).stdout
    scored = rosella(
        *("asr", "evaluate", str(corpus), "--model", "runs/tones/model", "--out", "scores", "--json"),
        cwd=tmp_path,
    )
    assert scored.returncode == 0, scored.stderr
    scores = json.loads(scored.stdout)
    assert scores["summary"]["examples"] == 4 and scores["noise"]["silence"]["examples"] == 4
    page = (tmp_path / "scores" / "report.html").read_text("utf-8")
    assert page.count("<audio") == 4 and "someone" in page
    wrong = rosella(
        "asr", "evaluate", str(corpus), "--model", "runs/tones/model", "--transcript", "clean", cwd=tmp_path
    )
    assert wrong.returncode == 2 and "writes no clean transcripts" in wrong.stderr


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
