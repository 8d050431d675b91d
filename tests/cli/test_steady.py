"""`rosella steady`: which heads read along is found and noted, and whatever cannot be read is said in a sentence."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from rosella import cli, mini, speak
from rosella.inference import alignment

ROOMY = SimpleNamespace(encoder=SimpleNamespace(max_position_embeddings=200), room=lambda: 128)


@pytest.fixture
def folder(tmp_path):
    """The embedded model's config alone, whose heads nobody has found yet."""
    made = tmp_path / "model"
    made.mkdir()
    values = json.loads((mini.path("model") / "config.json").read_text("utf-8"))
    values["rosella"]["readers"] = []
    (made / "config.json").write_text(json.dumps(values), "utf-8")
    return made


@pytest.fixture
def manifest(tmp_path):
    """Two recordings of the podcast's held-out sentences."""
    heldout = mini.path("podcast") / "heldout"
    lines = (heldout / "manifest.jsonl").read_text("utf-8").splitlines()[:2]
    for line in lines:
        shutil.copy(heldout / json.loads(line)["audio"], tmp_path)
    path = tmp_path / "heldout.jsonl"
    kept = [{key: json.loads(line)[key] for key in ("audio", "text", "language")} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
    return path


class Codec:
    """Of a frame for each tenth of a second."""

    sample_rate = 16_000

    def encode(self, waves):
        return [np.zeros((len(wave) // 1600, 3), np.uint16) for wave in waves]


def speaking(monkeypatch, shares, config):
    """A model whose heads look so much at what is said."""
    read = []
    speaker = SimpleNamespace(codec=Codec(), config=config, model=None, weights=None)
    monkeypatch.setattr(speak, "load", lambda model: speaker)
    monkeypatch.setattr(
        alignment, "near_shares", lambda model, spoken, weights: (read.extend(spoken), np.array(shares))[1]
    )
    return read


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["steady", *map(str, arguments)])
    return stop.value.code or 0


def readers(folder) -> list:
    return json.loads((folder / "config.json").read_text("utf-8"))["rosella"]["readers"]


def test_heads_that_read_along_are_noted_and_nothing_else_is_changed(monkeypatch, folder, manifest, capsys):
    read = speaking(monkeypatch, [[0.2, 0.8], [0.95, 0.1]], ROOMY)
    before = json.loads((folder / "config.json").read_text("utf-8"))
    assert run(folder, "--sentences", manifest) == 0
    assert readers(folder) == [[1, 0], [0, 1]] and len(read) == 2
    after = json.loads((folder / "config.json").read_text("utf-8"))
    before["rosella"]["readers"] = after["rosella"]["readers"]
    assert after == before
    assert (
        "2 of 4 heads read along, the best looks at what is being said 95% of the time"
        in capsys.readouterr().out
    )


def test_a_model_of_which_no_head_reads_along_is_told_so(monkeypatch, folder, manifest, capsys):
    speaking(monkeypatch, [[0.2, 0.6]], ROOMY)
    assert run(folder, "--sentences", manifest) == 0
    assert readers(folder) == [] and "No head reads along" in capsys.readouterr().out


def test_what_cannot_be_read_is_said_in_a_sentence(monkeypatch, folder, manifest, capsys, tmp_path):
    narrow = SimpleNamespace(encoder=SimpleNamespace(max_position_embeddings=200), room=lambda: 9)
    speaking(monkeypatch, [[0.9]], narrow)
    assert run(folder, "--sentences", manifest) == 2
    assert "as short as what the model can say at once" in capsys.readouterr().err
    assert run(tmp_path / "nowhere", "--sentences", manifest) == 2
    assert "is no model directory" in capsys.readouterr().err


def test_another_programs_config_is_left_alone(monkeypatch, folder, manifest, capsys):
    speaking(monkeypatch, [[0.9]], ROOMY)
    (folder / "config.json").write_text('{"model_type": "dia"}', "utf-8")
    assert run(folder, "--sentences", manifest) == 2
    assert "is not of Rosella's making: convert the model first" in capsys.readouterr().err
    assert (folder / "config.json").read_text("utf-8") == '{"model_type": "dia"}'
