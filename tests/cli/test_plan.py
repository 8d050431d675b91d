from __future__ import annotations

import json

import pytest
import yaml

from rosella import cli
from rosella.model import config as configs
from training import tiny


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    tiny.write(tmp_path / "corpus")
    monkeypatch.setattr(configs, "mini", tiny.config)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe("corpus").model_dump()))
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["plan", *map(str, arguments)])
    return stop.value.code or 0


def test_a_plan_is_a_table_for_people(recipe, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(recipe, "--hardware", "h100x8", "data.batch_size=8") == 0
    shown = capsys.readouterr().out
    for part in ("8 x h100", "fsdp 8", "estimated", "headroom", "remat full", "26 utterances", "$", "shards"):
        assert part in shown


def test_and_json_for_programs(recipe, capsys):
    assert run(recipe, "--hardware", "h100", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits"] and found["headroom"] > 0 and found["work"]["utterances"] == 26
    assert found["hardware"]["chip"]["name"] == "h100" and found["cost"]["run_steps"] == 8


@pytest.mark.slow
def test_here_is_compiled_for(recipe, capsys):
    assert run(recipe, "--hardware", "here") == 0
    printed = capsys.readouterr()
    assert "as compiled" in printed.out and "compiling for here" in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hardware", "v4-23"], "There is no slice v4-23"),
        (["--hardware", "h2000"], "did you mean h200"),
        (["--hardware", "h100", "--prices", "none.yaml"], "Cannot read the prices none.yaml"),
        (["--hardware", "h100", "stepz=3"], "the key stepz is unknown, did you mean steps"),
    ],
)
def test_mistakes_are_one_sentence(recipe, capsys, arguments, sentence):
    assert run(recipe, *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said
