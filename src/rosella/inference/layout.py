"""What generations are asked for and what comes of them, whichever framework computes: sequences, widths, codes.

Axes: B rows, S text bytes, R sequence rows of the prefill, C codebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rosella import delay
from rosella.errors import UserError
from rosella.model.config import DiaConfig

TEXTS, PROMPTS, SLOTS = 64, 64, 128
"""Bytes, steps of a prompt and slots of a cache are rounded up to these, doubled as often as needed: few are compiled.

Texts and prompts, which are read once, are doubled twice at a time.
"""
FOLLOWED = 256
"""Frames that are followed in their text are rounded up to doublings of these, so that few shapes are compiled."""


class Prompt(NamedTuple):
    """What a generation goes on from."""

    codes: np.ndarray  # [frames, C]
    said: int  # bytes of the text, the first, that are said in them


def no_prompt(config: DiaConfig) -> Prompt:
    """That of a generation which begins with its text."""
    return Prompt(np.zeros((0, config.decoder.num_channels), np.int32), 0)


class Prompts(NamedTuple):
    """Prompts as sequences that are padded at their end."""

    rows: np.ndarray  # int32 [B, R, C], each row's begin and delayed prompt
    dictated: np.ndarray  # int32 [B, steps, C], what a prompt's delay fixes in the first steps, else padding
    frames: np.ndarray  # int32 [B], frames of the prompt
    said: np.ndarray  # int32 [B], bytes of the text that it says


@dataclass(frozen=True)
class Generation:
    """What was generated for each row, without its prompt."""

    codes: list[np.ndarray]  # uint16 [frames, C]
    stopped: np.ndarray  # bool [B], the row ended by itself
    tokens: np.ndarray  # int32 [B, steps, C], the sequences as written: delayed, ends and padding included


def lay_out(prompts: Sequence[Prompt], config: DiaConfig) -> Prompts:
    """A prompt a row, as the sequences that decoding begins with."""
    decoder, longest = config.decoder, max(len(prompt.codes) for prompt in prompts)
    width = min(doubled(longest + 1, PROMPTS, 2), decoder.max_position_embeddings) if longest else 1
    shape = (len(prompts), width, decoder.num_channels)
    rows = np.full(shape, decoder.pad_token_id, np.int32)
    dictated = np.full((len(prompts), config.longest_delay + 1, shape[2]), decoder.pad_token_id, np.int32)
    for number, prompt in enumerate(prompts):
        sequence, begun = config.delayed(prompt.codes, end=False), len(prompt.codes) + 1
        rows[number, :begun] = sequence[:begun]
        dictated[number, :-1] = sequence[begun:]
    frames = np.array([len(prompt.codes) for prompt in prompts], np.int32)
    return Prompts(rows, dictated, frames, np.array([prompt.said for prompt in prompts], np.int32))


def doubled(least: int, size: int, at_once: int = 1) -> int:
    """The first doubling of `size` that holds so many, where it is doubled so often at once."""
    times = max(-(-least // size) - 1, 0).bit_length()
    return size << times + -times % at_once


def codes_of(generated: np.ndarray, prompt: Prompt, config: DiaConfig) -> np.ndarray:
    """The frames uint16 [frames, C] that are whole in sequence rows int32 [steps, C] written behind a prompt."""
    frames = len(prompt.codes)
    sequence = np.concatenate([config.delayed(prompt.codes, end=False)[: frames + 1], generated])
    codes, _ = delay.undo(sequence, config.delay_pattern, config.decoder.eos_token_id)
    return codes[frames:].astype(np.uint16)


def pad_text(text_ids: np.ndarray, most: int) -> np.ndarray:
    """Texts [B, S] in one of the few widths that are compiled, at most `most`."""
    free = text_width(text_ids.shape[1], most) - text_ids.shape[1]
    return np.pad(text_ids, ((0, 0), (0, free)))


def text_width(count: int, most: int) -> int:
    """To how many bytes a text of so many is padded."""
    return min(doubled(count, TEXTS, 2), most)


def require_room(config: DiaConfig, text_bytes: int, limits: np.ndarray, prompts: Sequence[Prompt]) -> None:
    """Raises UserError where the model cannot read the texts, or hold so many frames after these prompts."""
    if text_bytes > config.encoder.max_position_embeddings:
        raise UserError(
            f"The text has {text_bytes} bytes and the model reads at most "
            f"{config.encoder.max_position_embeddings}; shorten or split it."
        )
    for limit, prompt in zip(limits, prompts, strict=True):
        frames = len(prompt.codes)
        if not 1 <= limit <= config.room(frames):
            raise UserError(
                f"{limit} frames were asked for and the model has room for 1 to {config.room(frames)} after "
                f"{frames} of prompt; ask for fewer, or shorten the prompt."
            )
