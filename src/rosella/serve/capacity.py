"""How many may speak at once, so that each of them is made faster than it is heard; and everything compiled before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from rosella.codec.streaming import StreamDecoder
from rosella.inference.layout import FOLLOWED, PROMPTS, TEXTS, Prompt
from rosella.speak.recital import LATER

if TYPE_CHECKING:
    from rosella.inference.seats import Table
    from rosella.speak import Speaker

MARGIN = 1.25
"""How much faster than it is heard a speech is to be made."""
CHUNKS = 4
"""So many chunks of steps are timed."""


def places_of(speaker: Speaker, table: Table[Any]) -> int:
    """The most rows, a doubling, whose steps and sound together leave the margin; compiles the steps of so many.

    At least one: a machine that is slower than speech lets one speak after the other.
    """
    fits, rate, sound = 1, speaker.codec.frame_rate, _sound(speaker)
    for size in _times(2, 1, table.places):
        if (rate * _step(table, size) + size * sound) * MARGIN > 1:
            break
        fits = size
    return fits


def warm(speaker: Speaker, table: Table[Any]) -> None:
    """Have all compiled that requests may need: every width of text and prompt and of speech that is read along, and places.

    Of these, as many as there are come and go one by one.
    """
    config = speaker.config
    texts = _times(4, TEXTS, config.encoder.max_position_embeddings)
    prompts = [1, *_times(4, PROMPTS, config.decoder.max_position_embeddings)]
    for text, prompt in product(texts, prompts):
        frames = min(prompt - 1, config.room() - 1)
        codes = np.zeros((frames, config.decoder.num_channels), np.int32)
        table.leave(table.join(np.ones(text, np.int32), Prompt(codes, 0), 1, 0))
    for number in range(table.places):
        table.join(np.ones(TEXTS, np.int32), None, config.room(), number)
    for seat in table.seats:
        table.advance()
        table.leave(seat)
    for frames in _times(2, FOLLOWED, config.room()):
        codes = np.zeros((frames, config.decoder.num_channels), np.uint16)
        speaker.follow(np.ones(1, np.int32), codes)


def _times(factor: int, least: int, most: int) -> Iterator[int]:
    while least < most:
        yield least
        least *= factor
    yield most


def _step(table: Table[Any], rows: int) -> float:
    """Seconds that a step of so many rows takes; who sits there leaves."""
    taken = list[float]()
    for _ in range(1 + CHUNKS):
        while len(table.seats) < rows:  # who was there may have ended by himself
            table.join(np.ones(TEXTS, np.int32), None, 8 * table.chunk, len(table.seats))
        began = perf_counter()
        table.advance()
        taken.append(perf_counter() - began)
    for seat in table.seats:
        table.leave(seat)
    return sum(taken[1:]) / (CHUNKS * table.chunk)  # the first was compiled


def _sound(speaker: Speaker) -> float:
    """Seconds of work that a second of sound takes, made in pieces as a stream is."""
    codec, piece = speaker.codec, max(1, round(LATER * speaker.codec.frame_rate))
    codes = np.zeros((piece, codec.num_codebooks), np.uint16)
    decoder = StreamDecoder(codec)
    for _ in range(2 * codec.context // piece + 2):
        decoder.push(codes)
    began = perf_counter()
    for _ in range(5):
        decoder.push(codes)
    return (perf_counter() - began) / (5 * piece / codec.frame_rate)
