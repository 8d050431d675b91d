"""A table of generations in PyTorch, against that in JAX and against each of them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rosella import dialogue
from rosella.errors import UserError
from rosella.inference import table as jax_table
from rosella.inference.layout import Prompt
from rosella.inference.settings import Sampling
from rosella.model.config import DiaConfig
from rosella.pytorch import load_model
from rosella.pytorch.table import Table
from rosella.weights import save_model
from tiny_dia import ATTEND, CONFIG, READS, model

SPOKEN = ["[S1] ja", "[S2] nee, eh nee", "[S1] (laughs) [S2] wat?", "[S3] dank u wel"]
PROMPTS = [
    None,
    Prompt(np.arange(15).reshape(5, 3) % 16, 4),
    None,
    Prompt(np.arange(36).reshape(12, 3) % 16, 9),
]
FRAMES = [40, 17, 60, 33]
GREEDY = Sampling(guidance=2.0, temperature=0.0, top_k=8)
DRAWN = Sampling(guidance=2.0)


def roomy(config: DiaConfig) -> DiaConfig:
    """With room for longer texts than any of these."""
    return replace(config, encoder=replace(config.encoder, max_position_embeddings=256))


@pytest.fixture(
    scope="module",
    params=[roomy(CONFIG), roomy(ATTEND), roomy(READS)],
    ids=["masks", "attends", "reads along"],
)
def both(request, tmp_path_factory):
    """A tiny model in JAX, and the same from files in PyTorch."""
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, model(request.param), request.param)
    return model(request.param), load_model(folder)[0]


def join(table, index: int):
    return table.join(dialogue.encode(SPOKEN[index]), PROMPTS[index], FRAMES[index], index)


def come_and_go(table) -> list:
    """Rows join at different steps, one is broken off, the table grows and shrinks and is left by all."""
    seats = [join(table, 0)]
    table.advance()
    seats += [join(table, 1), join(table, 2)]
    table.advance()
    gone = join(table, 3)
    table.advance()
    table.leave(gone)
    table.advance()
    seats.append(join(table, 3))
    while table.seats:
        table.advance()
    return [seat.so_far() for seat in seats]


def alone(theirs, index: int, sampling: Sampling):
    ids, prompt = dialogue.encode(SPOKEN[index]), PROMPTS[index]
    prompts = None if prompt is None else [prompt]
    running = theirs.begin(*dialogue.pad_batch([ids]), FRAMES[index], prompts, sampling, [index])
    running.advance()
    return running.so_far()


def assert_same(made, wanted) -> None:
    np.testing.assert_array_equal(made.codes[0], wanted.codes[0])
    np.testing.assert_array_equal(made.stopped, wanted.stopped)


@pytest.mark.parity
@pytest.mark.parametrize("both", [roomy(ATTEND)], indirect=True, ids=["attends"])
def test_greedy_codes_are_those_of_jax(both):
    ours, theirs = both
    wanted = come_and_go(jax_table.Table(ours, GREEDY, places=4))
    for one, other in zip(come_and_go(Table(theirs, GREEDY, places=4)), wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("sampling", [DRAWN, Sampling(guidance=1.0)], ids=["guided", "unguided"])
def test_who_comes_and_goes_beside_a_row_changes_nothing_of_it(both, sampling):
    """Also at a table that others have left."""
    theirs = both[1]
    table = Table(theirs, sampling, places=4)
    for _ in range(2):
        for index, made in enumerate(come_and_go(table)):
            assert_same(made, alone(theirs, index, sampling))


def test_a_row_may_fill_the_model(both):
    """To its last position, with steps beyond it in the last chunk."""
    theirs = both[1]
    prompt = PROMPTS[1]
    table, frames = Table(theirs, DRAWN, places=1), CONFIG.room(len(prompt.codes))
    ids = dialogue.encode(SPOKEN[2])
    seat = table.join(ids, prompt, frames, 5)
    while table.seats:
        table.advance()
    running = theirs.begin(*dialogue.pad_batch([ids]), frames, [prompt], DRAWN, [5])
    running.advance()
    assert_same(seat.so_far(), running.so_far())


def test_an_empty_place_is_always_at_its_first_steps(both):
    """Else it would come to the end of its cache, and have the others read further."""
    table = Table(both[1], GREEDY, places=4)
    join(table, 0)
    table.advance()
    join(table, 1), join(table, 2)
    for _ in range(2):
        table.advance()
        state = table._taken
        assert [state.step[3], state.filled[3], state.filled[7]] == [table.chunk] * 3


def test_places_stay_where_they_are(both):
    """A recorded graph finds the rows of so many places where they were."""
    table, places = Table(both[1], GREEDY, places=2), []
    for _ in range(2):
        seats = [join(table, 0)]
        places.append(table._taken.layers[0].keys)
        seats.append(join(table, 1))
        places.append(table._taken.layers[0].keys)
        for seat in seats:
            table.leave(seat)
    assert places[0] is places[2] and places[1] is places[3] and places[0] is not places[1]


@pytest.mark.parametrize("both", [roomy(ATTEND)], indirect=True, ids=["attends"])
def test_a_step_of_a_table_is_one_graph(both, monkeypatch):
    """What is compiled for a card has no break in it, and computes the same."""
    theirs = both[1]
    wanted = alone(theirs, 1, GREEDY)
    monkeypatch.setattr(theirs, "width", lambda state, known: 128)  # one of the few that a card is given
    monkeypatch.setattr(theirs, "step", torch.compile(theirs.step, fullgraph=True, backend="aot_eager"))
    table = Table(theirs, GREEDY, places=2)
    seats = [join(table, 1), join(table, 0)]
    while table.seats:
        table.advance()
    assert_same(seats[0].so_far(), wanted)


def test_what_the_model_has_no_room_for_is_refused_and_takes_no_place(both):
    table = Table(both[1], GREEDY, places=1)
    with pytest.raises(UserError, match="has room for"):
        table.join(dialogue.encode("[S1] ja"), None, 1000, 0)
    assert not table.seats
