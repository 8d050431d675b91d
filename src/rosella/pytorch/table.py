"""Generations that share one batch, computed by PyTorch: a row of one state for each place, written over in place.

Axes: B places, S text bytes, C codebooks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from rosella.inference import seats
from rosella.inference.layout import Prompt, lay_out
from rosella.inference.seats import CHUNK
from rosella.inference.settings import Sampling
from rosella.pytorch.decoding import Layer, State
from rosella.pytorch.generate import Model, random_of

_NEVER = -(2**30)
"""The frame in which a place ends that nobody sits at."""


class Table(seats.Table[State]):
    """Rows of a model's cached steps; the state of so many places stays where it is, for a graph to read and write."""

    def __init__(self, model: Model, sampling: Sampling, places: int) -> None:
        super().__init__(model.config, places)
        self._model, self._sampling = model, sampling
        self._states: dict[int, State] = {}

    @torch.inference_mode()
    def _begun(self, ids: np.ndarray, prompt: Prompt, frames: int, seed: int) -> State:
        config = self._config
        # Who has ended within a chunk takes its last steps with the others.
        slots = config.decoder.max_position_embeddings + CHUNK - 1
        random = random_of([seed], slots, config.decoder.num_channels)
        laid, lengths = lay_out([prompt], config), np.array([len(ids)])
        made = self._model.start(ids[None], lengths, laid, np.array([frames]), random, self._sampling)
        made = _with_text_keys(made, config.text_keys(config.encoder.max_position_embeddings))
        return made if self._seats else self._copied(made, 1, np.array([0]))

    @torch.inference_mode()
    def _seated(self, taken: State, newcomer: State, place: int) -> State:
        for into, row in zip(_rows(taken), _rows(newcomer), strict=True):
            into.view(len(row), -1, *row.shape[1:])[:, place] = row
        return taken

    @torch.inference_mode()
    def _picked(self, taken: State, picks: np.ndarray) -> State:
        return self._copied(taken, len(self._seats), picks)

    @torch.inference_mode()
    def _advanced(self, taken: State, idle: np.ndarray) -> tuple[State, np.ndarray, np.ndarray, np.ndarray]:
        model, empty = self._model, self._model.tensor(idle, torch.bool)
        taken.ends.masked_fill_(empty, _NEVER)
        taken.step.masked_fill_(empty, 0)
        taken.filled.masked_fill_(empty.repeat(len(taken.filled) // len(idle)), 0)
        steps = taken.step[:, None, None] + torch.arange(CHUNK, device=model.device)[:, None]
        known = int(taken.filled.max())
        for number in range(CHUNK):
            model.step(taken, model.width(taken, known + number + 1), self._sampling.filters)
        written = taken.written.gather(1, steps.expand(-1, -1, taken.written.shape[2])).int()
        said = written, model.decoding.unfinished(taken), taken.stopped
        written, unfinished, stopped = (each.cpu().numpy() for each in said)
        return taken, written, unfinished, stopped

    def _copied(self, state: State, places: int, picks: np.ndarray) -> State:
        """Picked rows of a state of so many places, written to the one state of as many as are picked."""
        made = self._states.get(len(picks))
        if made is None:
            made = self._states[len(picks)] = self._model.fixed(_empty(state, places, len(picks)))
        picked = self._model.tensor(picks)
        for into, rows in zip(_rows(made), _rows(state), strict=True):
            starts = range(0, len(rows), places)
            into.copy_(rows.index_select(0, torch.cat([picked + start for start in starts])))
        return made


def _rows(state: State) -> list[Tensor]:
    """Every tensor with a row, or two, for each place; the others are the table's own."""
    return [*(each for layer in state.layers for each in layer[:-1]), *state[1:-1]]


def _empty(like: State, had: int, places: int) -> State:
    """A state of so many places, where that one had others."""

    def empty(rows: Tensor) -> Tensor:
        return rows.new_zeros(len(rows) // had * places, *rows.shape[1:])

    layers = tuple(Layer._make((*map(empty, layer[:-1]), layer.silence)) for layer in like.layers)
    return State._make((layers, *map(empty, like[1:-1]), like.numbers))


def _with_text_keys(state: State, keys: int) -> State:
    """With room for so many keys of each text."""
    free, hidden = keys - state.text_bias.shape[3], torch.finfo(state.text_bias.dtype).min

    def padded(of_text: Tensor) -> Tensor:
        return pad(of_text, (0, 0, 0, free))

    layers = tuple(
        layer._replace(text_keys=padded(layer.text_keys), text_values=padded(layer.text_values))
        for layer in state.layers
    )
    bias, places = (
        pad(each, (0, free), value=value)
        for each, value in ((state.text_bias, hidden), (state.places, -torch.inf))
    )
    return state._replace(layers=layers, text_bias=bias, places=places)
