from __future__ import annotations

import pytest

from rosella import cli
from rosella.inference.settings import Blocks
from rosella.serve import run as module


@pytest.fixture
def given(monkeypatch):
    """The settings of servers that were to run."""
    given = []
    monkeypatch.setattr(module, "run", lambda *settings: given.append(settings))
    return given


def serve(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["serve", *arguments])
    assert not stop.value.code


@pytest.mark.parametrize(
    ("arguments", "blocks"),
    [((), None), (("--blocks", "16"), Blocks(16)), (("--blocks", "8", "--passes", "2"), Blocks(8, 2))],
)
def test_a_server_speaks_in_the_blocks_it_is_told(given, arguments, blocks):
    serve(*arguments)
    assert given[0][0] == "mini" and given[0][-2:] == (blocks, "jax")


def test_a_server_speaks_by_the_backend_it_is_told(given):
    serve("--backend", "torch")
    assert given[0][-1] == "torch"
