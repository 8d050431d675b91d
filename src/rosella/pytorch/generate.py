"""Utterances as `inference.generate` has them: rows of texts and prompts, a few steps at a time.

On an NVIDIA card a step is compiled and played as one CUDA graph; on a CPU it is computed as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DiaForConditionalGeneration

from rosella.inference.layout import (
    SLOTS,
    Generation,
    Prompt,
    Prompts,
    codes_of,
    doubled,
    lay_out,
    no_prompt,
    pad_text,
    require_room,
)
from rosella.inference.reading import Followed, read_along
from rosella.inference.settings import Numbers, Sampling
from rosella.model.config import DiaConfig
from rosella.pytorch.decoding import Decoding, Layer, State, looked

APART = 8
"""Steps after which a device is asked whether all rows have ended; it waits for every such question."""


class Model:
    """A model that begins generations."""

    def __init__(self, model: DiaForConditionalGeneration, config: DiaConfig) -> None:
        self.config, self.device, self.dtype = config, model.device, model.dtype
        self.decoding = Decoding(model, config)
        self._idle: State | None = None
        self.step: Callable[..., None] = self.decoding.step
        if self.device.type == "cuda":
            self.step = torch.compile(self.step, mode="reduce-overhead", fullgraph=True)

    def begin(
        self,
        text_ids: np.ndarray,
        lengths: np.ndarray,
        max_frames: int | Sequence[int],
        prompts: Sequence[Prompt] | None = None,
        sampling: Sampling = Sampling(),
        seeds: Sequence[int] | np.ndarray | None = None,
        roomy: bool = False,
    ) -> Running:
        """A generation of which no step has been taken; arguments and errors are those of `inference.generate.Running`."""
        return Running(self, text_ids, lengths, max_frames, prompts, sampling, seeds, roomy)

    @torch.inference_mode()
    def follow(self, ids: np.ndarray, codes: np.ndarray) -> Followed:
        """Where in a text, byte ids int32 [S], each frame of codes [frames, C] is: as `inference.alignment.follow`."""
        asked, random = list[Tensor](), random_of([0], len(codes), codes.shape[1])
        laid, limits = lay_out([Prompt(codes, 0)], self.config), np.zeros(1, np.int64)
        alone = np.array([len(ids)]), laid, limits, random, Sampling(guidance=1.0)
        state = self.start(ids[None], *alone, asked)
        looks = [looked(*each, state.text_bias) for each in zip(asked, state.layers, strict=True)]
        return read_along(torch.stack(looks)[..., : len(ids)].float().cpu().numpy())

    def start(
        self,
        text_ids: np.ndarray,
        lengths: np.ndarray,
        laid: Prompts,
        limits: np.ndarray,
        random: np.ndarray,
        sampling: Sampling,
        asked: list[Tensor] | None = None,
    ) -> State:
        """The state before the first step, its prompts read; it has a slot for each of the `random` steps [B, steps, C].

        What layers ask the texts meanwhile is added to `asked`.
        """
        decoding, decoder, known = self.decoding, self.config.decoder, laid.frames
        text = decoding.encode(self._read(text_ids), self.tensor(lengths))
        rows, doubling = len(lengths), 1 + sampling.filters.guided
        shape = doubling * rows, decoder.num_key_value_heads, random.shape[1], decoder.head_dim
        empty = lambda: torch.zeros(shape, dtype=self.dtype, device=self.device)  # noqa: E731
        state = State(
            tuple(Layer(empty(), empty(), *read) for read in decoding.read(text)),
            text.bias,
            filled=self.tensor(np.zeros(doubling * rows)),
            step=self.tensor(np.zeros(rows)),
            tokens=self.tensor(laid.rows[np.arange(rows), known]),
            ends=self.tensor(known + limits),
            stopped=self.tensor(np.zeros(rows), torch.bool),
            written=self.tensor(np.zeros(random.shape)),
            frames=self.tensor(known),
            dictated=self.tensor(laid.dictated),
            random=self.tensor(random, torch.float32),
            places=self.tensor(_start(laid.said, text.bias.shape[3]), torch.float32),
            numbers=Numbers(*(self.tensor(each, torch.float32) for each in sampling.numbers)),
        )
        if known.max():
            prefix = np.tile(laid.rows[:, : known.max()], (doubling, 1, 1))
            decoding.decode(self.tensor(prefix), state, prefix.shape[1], asked)
            # What lies behind a shorter prompt is written over.
            state.filled.copy_(self.tensor(np.tile(known, doubling)))
        return state

    def _read(self, text_ids: np.ndarray) -> Tensor:
        return self.tensor(pad_text(text_ids, self.config.encoder.max_position_embeddings))

    def tensor(self, values: Any, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype, device=self.device)

    def lend(self, made: State) -> State:
        """The state, in the place of the one that was given back, if that has its shapes.

        A recorded graph reads and writes where it did when it was recorded.
        """
        place, self._idle = self._idle, None
        if place is not None and _shapes(place) == _shapes(made):
            for old, new in zip(_tensors(place), _tensors(made), strict=True):
                old.copy_(new)
            return place
        return self.fixed(made)

    def fixed(self, state: State) -> State:
        """The state, which stays where it is: for a graph to read and write."""
        if self.device.type == "cuda":
            from torch._dynamo.decorators import mark_static_address

            for tensor in _tensors(state):
                mark_static_address(tensor)
        return state

    def width(self, state: State, known: int) -> int:
        """How much of a cache a step reads: on a CPU the slots that are known, elsewhere one of few widths, each a graph."""
        slots = state.layers[0].keys.shape[2]
        return known if self.device.type == "cpu" else min(doubled(known, SLOTS), slots)

    def take_back(self, state: State) -> State:
        """What is left of a state for who reads it, once others may write over it."""
        self._idle = state
        return state._replace(layers=(), written=state.written.clone(), stopped=state.stopped.clone())


class Running:
    """A generation under way; `advance` takes steps, `so_far` says what is known."""

    @torch.inference_mode()
    def __init__(
        self,
        model: Model,
        text_ids: np.ndarray,
        lengths: np.ndarray,
        max_frames: int | Sequence[int],
        prompts: Sequence[Prompt] | None,
        sampling: Sampling,
        seeds: Sequence[int] | np.ndarray | None,
        roomy: bool,
    ) -> None:
        config, rows = model.config, len(lengths)
        if prompts is None:
            prompts = [no_prompt(config)] * rows
        self._model, self._prompts, self._filters = model, prompts, sampling.filters
        self._limits = np.broadcast_to(np.asarray(max_frames, np.int32), rows)
        require_room(config, text_ids.shape[1], self._limits, prompts)
        self._steps = int(self._limits.max()) + config.longest_delay
        self._known = max(len(prompt.codes) for prompt in prompts)
        slots = config.decoder.max_position_embeddings
        if not roomy:
            slots = min(doubled(self._known + self._steps, SLOTS), slots)
        random = random_of(range(rows) if seeds is None else seeds, slots, config.decoder.num_channels)
        laid = lay_out(prompts, config)
        self._state = model.lend(model.start(text_ids, lengths, laid, self._limits, random, sampling))
        self.step, self.finished = 0, False

    @torch.inference_mode()
    def advance(self, steps: int | None = None) -> None:
        """Take so many steps more, or all that are left."""
        model, apart = self._model, 1 if self._model.device.type == "cpu" else APART
        until = self._steps if steps is None else min(self.step + steps, self._steps)
        while self.step < until and not self.finished:
            model.step(self._state, self._width(), self._filters)
            self.step += 1
            if self.step % apart == 0 or self.step == until:
                self.finished = not bool(model.decoding.unfinished(self._state).any())
        if self.finished and self._state.layers:
            self._state = model.take_back(self._state)

    def so_far(self) -> Generation:
        """The frames of which every codebook is known."""
        tokens = self._state.written[:, : self.step].cpu().numpy().astype(np.int32)
        rows = zip(tokens, self._prompts, self._limits, strict=True)
        codes = [codes_of(row, prompt, self._model.config)[:limit] for row, prompt, limit in rows]
        return Generation(codes, self._state.stopped.cpu().numpy(), tokens)

    def _width(self) -> int:
        return self._model.width(self._state, self._known + self.step + 1)


def _start(said: np.ndarray, width: int) -> np.ndarray:
    """As `inference.steady.start`."""
    places = np.full((len(said), width), -np.inf, np.float32)
    places[np.arange(len(said)), np.maximum(said - 1, 0)] = 0.0
    return places


def random_of(seeds: Sequence[int] | np.ndarray, steps: int, channels: int) -> np.ndarray:
    """Float32 [B, steps, C]: a row draws by its own seed alone, and alike on every device."""
    drawn = [np.random.default_rng(int(seed) % 2**32).random((steps, channels), np.float32) for seed in seeds]
    return np.stack(drawn)


def _tensors(state: State) -> list[Tensor]:
    return [*(each for layer in state.layers for each in layer), *state[1:-1], *state.numbers]


def _shapes(state: State) -> list[torch.Size]:
    return [tensor.shape for tensor in _tensors(state)]
