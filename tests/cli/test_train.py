from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
import yaml

from rosella import cli
from rosella.model import config as configs
from rosella.training import start
from training import tiny


class Codec:
    sample_rate, frame_rate, hop, num_codebooks, codebook_size, fingerprint = 16000, 50.0, 320, 3, 16, "tiny"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    tiny.write(tmp_path / "corpus")
    monkeypatch.setattr(configs, "mini", tiny.config)
    monkeypatch.setattr(start, "load_codec", lambda name: Codec())
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe("corpus").model_dump()))
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", *map(str, arguments)])
    return stop.value.code or 0


def test_a_recipe_becomes_a_model_and_is_then_done(recipe, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert run(recipe, "steps=2", "codec=tiny", "--open") == 0
    page = Path("runs/little/report.html").resolve()
    assert opened == [page.as_uri()] and "2 of 2 steps" in page.read_text("utf-8")
    output = capsys.readouterr().out
    assert (
        "26 utterances" in output
        and "training: 2/2" in output
        and "the model is in runs/little/model" in output
    )
    written = json.loads(Path("runs/little/model/config.json").read_text())
    assert written["rosella"]["codec"] == "tiny" and written["decoder_config"]["num_channels"] == 3
    assert run(recipe, "steps=2", "codec=tiny") == 0
    assert "Already done: 2 steps" in capsys.readouterr().out
    assert run(recipe, "steps=2", "codec=tiny", "seed=1") == 2
    assert "started with seed=0, not 1" in capsys.readouterr().err
    assert run("elsewhere.yaml") == 2
    retrained = (
        f"data.export={recipe.parent / 'corpus'}",
        "model.weights=runs/little/model",
        "model.preset=null",
    )
    assert run(recipe, *retrained, "steps=1", "--run", "again") == 0
    assert Path("again/model/model.safetensors").stat().st_size > 0


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.overrides={decoder_config: {layers: 3}}", "model.overrides.decoder_config.layers is unknown"),
        ("data.export=nowhere", "nowhere has no export.json"),
        ("data.max_frames=2", "the delay pattern alone takes 2"),
    ],
)
def test_mistakes_are_one_sentence(recipe, capsys, override, sentence):
    assert run(recipe, override) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not Path("runs").exists()
