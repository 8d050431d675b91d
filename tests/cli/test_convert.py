from __future__ import annotations

import re
from typing import get_args, get_type_hints

import pytest

from rosella import cli
from rosella.cli.convert import convert
from rosella.weights import load_model, save_model
from rosella.weights.names import Kind
from tiny_dia import ATTEND, CONFIG, model


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["convert", *map(str, arguments)])
    return stop.value.code or 0


def test_it_says_what_it_made_how_fast_and_in_how_much_memory(tmp_path, capsys):
    save_model(tmp_path / "home", model(), CONFIG)
    options = ("--to", "nari", "--dtype", "bfloat16", "--trained-text-length", 32)
    assert run(tmp_path / "home", tmp_path / "out", *options) == 0
    said = capsys.readouterr()
    assert re.search(r"out: 0.0 M parameters from rosella to nari in .* s, at most \d+\.\d\d GiB", said.out)
    assert "Beware: Nari's Dia masks" in said.err
    assert load_model(tmp_path / "out")[1] == ATTEND


def test_mistakes_are_sentences(tmp_path, capsys):
    save_model(tmp_path / "home", model(), CONFIG)
    assert run(tmp_path / "home", tmp_path / "home", "--to", "nari") == 2
    assert "exists already" in capsys.readouterr().err
    assert run(tmp_path / "home", tmp_path / "out") == 2
    assert run(tmp_path / "nothing", tmp_path / "out", "--to", "nari") == 2
    assert "There is no model" in capsys.readouterr().err


def test_every_kind_of_home_can_be_written():
    assert set(get_args(get_type_hints(convert)["to"])) == set(Kind)
