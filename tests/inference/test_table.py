"""A table of generations against each of them alone."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from rosella import dialogue
from rosella.errors import UserError
from rosella.inference import table as module
from rosella.inference.generate import Running
from rosella.inference.layout import Prompt
from rosella.inference.settings import Blocks, Sampling
from rosella.inference.table import Table
from tiny_dia import model, shaped

SPOKEN = ["[S1] ja", "[S2] nee, eh nee", "[S1] (laughs) [S2] wat?", "[S3] dank u wel"]
PROMPTS = [
    None,
    Prompt(np.arange(15).reshape(5, 3) % 16, 4),
    None,
    Prompt(np.arange(36).reshape(12, 3) % 16, 9),
]
FRAMES = [40, 17, 60, 33]
SHALLOW = shaped(layers=1)
ATTENDS = {"cross_attention_padding": "attend", "trained_text_length": 32}
GUIDED = Sampling(guidance=2.0, temperature=1.0, top_k=8, top_p=0.9)
LIVELY = replace(GUIDED, top_p=1.0, blocks=Blocks(3, 2, "calibrated", early=0.7))


def alone(dia, index: int, sampling: Sampling = GUIDED):
    ids, prompt = dialogue.encode(SPOKEN[index]), PROMPTS[index]
    prompts = None if prompt is None else [prompt]
    return Running(dia, *dialogue.pad_batch([ids]), FRAMES[index], prompts, sampling, [index], roomy=True)


def join(table: Table, index: int):
    return table.join(dialogue.encode(SPOKEN[index]), PROMPTS[index], FRAMES[index], index)


def finish(table: Table) -> None:
    while table.seats:
        table.advance()


@pytest.mark.parametrize(
    ("config", "sampling"),
    [
        (SHALLOW, Sampling(guidance=1.0)),
        (replace(SHALLOW, **ATTENDS), GUIDED),
        (replace(SHALLOW, readers=((0, 1), (0, 2))), LIVELY),
    ],
    ids=["unguided", "guided, attend", "in blocks, steady"],
)
def test_who_comes_and_goes_beside_a_row_changes_nothing_of_it(config, sampling):
    """Rows join at different steps, one is broken off, the table grows and shrinks: each says what it says alone.

    None sits there longer than to the chunk of steps, or the block, within which it ends.
    """
    dia = model(config)
    table = Table(dia, sampling, places=4)
    seats = [join(table, 0)]
    table.advance()
    seats += [join(table, 1), join(table, 2)]
    table.advance()
    gone = join(table, 3)
    table.advance()
    table.leave(gone)
    table.advance()
    seats.append(join(table, 3))
    finish(table)
    for index, seat in enumerate(seats):
        expected = alone(dia, index, sampling)
        expected.advance()
        made = seat.so_far()
        assert seat.finished
        np.testing.assert_array_equal(made.codes[0], expected.so_far().codes[0])
        np.testing.assert_array_equal(made.stopped, expected.so_far().stopped)
        assert seat.step - table.chunk < len(made.codes[0]) + config.longest_delay <= seat.step


def test_a_seat_says_what_it_knows_while_it_is_generated():
    dia = model(SHALLOW)
    table = Table(dia, GUIDED, places=2)
    seat, running = join(table, 2), alone(dia, 2)
    for _ in range(3):
        table.advance()
        running.advance(table.chunk)
        np.testing.assert_array_equal(seat.so_far().codes[0], running.so_far().codes[0])
    assert seat.step == 3 * table.chunk and not seat.finished


def test_blocks_may_reach_beyond_what_the_model_holds():
    config = shaped(layers=1, steps=30)
    dia, asked = model(config, seed=2), replace(GUIDED, blocks=Blocks(12, 2, order="low first"))
    table = Table(dia, asked, places=1)
    ids, frames = dialogue.encode(SPOKEN[0]), config.room()
    seat = table.join(ids, None, frames, 0)
    running = Running(dia, *dialogue.pad_batch([ids]), frames, None, asked, [0], roomy=True)
    while table.seats:
        table.advance()
        running.advance(table.chunk)
        np.testing.assert_array_equal(seat.so_far().codes[0], running.so_far().codes[0])
    assert len(seat.so_far().codes[0]) == frames


def test_no_more_is_computed_than_who_sits_there_rounded_up():
    table = Table(model(SHALLOW), GUIDED, places=3)
    sizes = []
    seats = [join(table, index) for index in (0, 1, 2)]
    sizes.append(len(table._seats))
    table.leave(seats[0])
    table.advance()
    sizes.append(len(table._seats))
    table.leave(seats[1])
    table.advance()
    sizes.append(len(table._seats))
    table.leave(seats[2])
    sizes.append(len(table._seats))
    assert sizes == [3, 2, 1, 0]


def test_what_the_model_has_no_room_for_is_refused_and_takes_no_place():
    table = Table(model(SHALLOW), GUIDED, places=1)
    with pytest.raises(UserError, match="has room for"):
        table.join(dialogue.encode("[S1] ja"), None, 1000, 0)
    assert not table.seats


def test_a_newcomer_is_of_the_types_that_places_have():
    """Numbers of JAX's weak types would have programs compiled for him alone."""
    table = Table(model(SHALLOW), GUIDED, places=1)
    join(table, 0)
    assert not any(jax.typeof(leaf).weak_type for leaf in jax.tree.leaves(table._taken))


def test_other_texts_and_prompts_of_the_same_widths_compile_nothing_again():
    dia = model(SHALLOW)
    table = Table(dia, GUIDED, places=2)
    for index in (0, 1):
        join(table, index)
    finish(table)
    programs = module._programs()
    before = [each._cache_size() for each in programs]
    table.join(dialogue.encode("[S2] iets anders"), None, 30, 7)
    table.join(dialogue.encode("[S2] en nog iets"), Prompt(np.zeros((9, 3), np.int32), 0), 30, 7)
    finish(table)
    assert [each._cache_size() for each in programs] == before
