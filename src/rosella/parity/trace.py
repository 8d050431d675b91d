"""What a model computes on the way from text to codes, stage by stage, from inputs chosen to show differences.

A trace holds only valid positions, a row of the batch after another, so that homes which pad at different
sides compare. Axes: T a row's steps, C codebooks, V ids, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from rosella.errors import UserError
from rosella.model.config import DiaConfig

# All tags, letters of one to four bytes, a text without a change of speaker; the third is dropped.
TEXTS = (
    "[S1] Hé, één! [S2] Ja… [S3] 日本 🙂 [S4] (lacht)",
    "[S1] Nee.",
    "[S2] Eh, dat- dat is één. [S1] Straße.",
    "[S4] Œuvre; c'est ça. [S3] Zo!",
)
DROPPED = 2
LONGEST_TEXT, LONGEST_AUDIO, FRAMES = 256, 256, 200
AUDIO_SHARES, PROMPT_FRAMES = (1.0, 0.4, 0.1, 0.6), (12, 3, 1, 7)

TEXT_IDS, AUDIO_IDS, ENCODER, LOGITS, LOSS = "text ids", "audio ids", "encoder output", "logits", "loss"


class Case(NamedTuple):
    """One greedy generation."""

    guidance: float
    top_k: int
    prompted: bool

    def __str__(self) -> str:
        guided = f", guidance {self.guidance:g}, top-k {self.top_k}" if self.guidance > 1 else ", no guidance"
        return f"greedy ids{guided}{', after a prompt' if self.prompted else ''}"


CASES = (Case(1.0, 45, False), Case(3.0, 45, False), Case(3.0, 1, False), Case(3.0, 45, True))
STAGES = "every stage"
PARTS = (STAGES, *map(str, CASES))  # of a trace, in their order


class Say(Protocol):
    """Told which of `PARTS` is at work, and as far as that is known how many frames it has generated."""

    def __call__(self, part: str, frames: int | None = None) -> None: ...


@dataclass(frozen=True)
class Inputs:
    """A padded batch of unequal rows: texts, one of which is dropped, and the codes that are said in them."""

    texts: list[str]
    codes: list[np.ndarray]  # int32 [frames, C] per row, which teacher forcing reads
    prompts: list[np.ndarray]  # int32 [frames, C] per row, which generation goes on from
    frames: int  # to generate


class Greedy(NamedTuple):
    """Ids int32 [B, steps, C] as generated, ends and padding included, and the margin of each choice.

    A margin is by how much the logits would have to change for another id, in the same shape; only Rosella
    computes it.
    """

    ids: np.ndarray
    margins: np.ndarray | None = None


@dataclass
class Trace:
    """Each stage's rows in the order of computation, and the greedy ids of each case."""

    stages: dict[str, list[np.ndarray]] = field(default_factory=dict)
    greedy: dict[Case, Greedy] = field(default_factory=dict)


def layer_name(layer: int) -> str:
    return f"decoder layer {layer + 1}"


def cut_rows(batch: Any, counts: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """The first counts[b] steps of each row of a batch padded at its end."""
    return [row[:count] for row, count in zip(np.asarray(batch), counts, strict=True)]


def make_inputs(config: DiaConfig, frames: int | None = None) -> Inputs:
    """Inputs that fit the model, always the same; `frames` to generate (default 200, or what fits).

    UserError when the model has no room for `frames`.
    """
    room = config.room(1)
    fits = room - max(PROMPT_FRAMES)
    if not 1 <= (frames or 1) <= fits:
        raise UserError(
            f"{frames} frames were asked for and the model has room for 1 to {fits}; ask for fewer."
        )
    random = np.random.default_rng(0)
    shape = (min(LONGEST_AUDIO, room), config.decoder.num_channels)
    codes = [random.integers(0, config.decoder.eos_token_id, shape, np.int32) for _ in TEXTS]
    longest = min(LONGEST_TEXT, config.encoder.max_position_embeddings)
    return Inputs(
        texts=[_repeated(TEXTS[0], longest), *TEXTS[1:]],
        codes=[row[: round(share * len(row))] for row, share in zip(codes, AUDIO_SHARES, strict=True)],
        prompts=[row[:count] for row, count in zip(codes, PROMPT_FRAMES, strict=True)],
        frames=frames or min(FRAMES, fits),
    )


def _repeated(line: str, limit: int) -> str:
    """A line said as often as fits `limit` bytes."""
    return " ".join([line] * ((limit + 1) // (len(line.encode()) + 1)))
