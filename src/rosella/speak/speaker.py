"""A model and its codec as a speaker: whole texts become whole waveforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from rosella import devices, dialogue, threads
from rosella.codec import load_codec
from rosella.errors import UserError
from rosella.progress import Progress, unheard
from rosella.speak.clips import Start, room_after
from rosella.speak.past import Past
from rosella.speak.recital import LONGEST_SECONDS, Recital, UnderWay
from rosella.speak.takes import TRIES, Take, Verdict, best_takes, judge, pace_of

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.inference.layout import Prompt
    from rosella.inference.precision import Precision
    from rosella.inference.reading import Followed
    from rosella.inference.seats import Table
    from rosella.inference.settings import Blocks, Sampling
    from rosella.model.config import DiaConfig
    from rosella.model.transformer import DecodingWeights, Dia
    from rosella.pytorch.generate import Model
    from rosella.speak.voices import Voices

MAX_BATCH = 16
Backend = Literal["jax", "torch"]


@dataclass(frozen=True)
class Speech:
    """What the model said, without the clip: float32 [samples], and its codes uint16 [frames, codebooks].

    `stopped` is False where it was cut off at the length limit instead of ending by itself.
    """

    waveform: np.ndarray
    sample_rate: int
    codes: np.ndarray
    stopped: bool


def load(
    name_or_path: str | Path = "mini",
    codec: str | None = None,
    precision: Precision = "float32",
    backend: Backend = "jax",
) -> Speaker:
    """A speaker from the embedded model (`mini`), a model directory or a hub name.

    `codec` replaces the model's own: the one in its folder, or else the one its `config.json` names. Products are computed
    in `precision`, float32 or bfloat16; with int8 the decoder's weights are held in eight bits. `backend` computes: jax, or
    torch, which reads models in the layout of Transformers and imports no JAX. Threads of PyTorch that have nothing to do
    sleep, unless it is imported already or the environment says how they wait.
    """
    threads.wait_asleep()
    if backend not in get_args(Backend):
        raise UserError(f"The backend {backend!r} is unknown: choose {' or '.join(get_args(Backend))}.")
    if backend == "torch":
        return _load_torch(name_or_path, codec, precision)
    from rosella.inference.precision import ready
    from rosella.weights import load_model

    beside = devices.share_card() or "cpu"
    model, config = load_model(name_or_path)
    model, weights = ready(model, precision)
    return Speaker(model, config, codec_of(name_or_path, config, codec, beside), weights)


def compiled(backend: Backend) -> AbstractContextManager[None]:
    """What JAX compiles in the block is kept for the next time."""
    if backend != "jax":
        return nullcontext()
    from rosella.inference.programs import kept, programs_folder

    return kept(programs_folder())


def _load_torch(name_or_path: str | Path, codec: str | None, precision: Precision) -> Speaker:
    from rosella.pytorch import load_model

    device = devices.device()
    model, config = load_model(name_or_path, precision, device)
    return Speaker(model, config, codec_of(name_or_path, config, codec, str(device)))


def codec_of(
    name_or_path: str | Path, config: DiaConfig, codec: str | None = None, device: str = "cpu"
) -> Codec:
    """The codec that a model speaks with, or the one named instead, loaded for `device`."""
    from rosella.weights import find_model

    own = find_model(name_or_path) / "codec"
    return load_codec(codec or (own if own.is_dir() else config.codec), device)


class Speaker:
    """A model and its codec, ready to speak."""

    def __init__(
        self, model: Dia | Model, config: DiaConfig, codec: Codec, weights: DecodingWeights | None = None
    ) -> None:
        """`weights` are those of a model in JAX, where they are `prepared`."""
        config.require(codec)
        self.model: Any = model
        self.config, self.codec = config, codec
        if weights is not None:
            self.weights = weights

    def speak(
        self,
        texts: str | Sequence[str],
        voice: Voices | Sequence[Voices | None] | None = None,
        seed: int = 0,
        max_seconds: float | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = 50,
        top_p: float = 0.95,
        tries: int = TRIES,
        best_of: int = 1,
        blocks: Blocks | None = None,
        progress: Progress = unheard,
    ) -> list[Speech]:
        """Speak each text, in the voice of a clip if one is given; the same seed gives the same speech.

        A text in whose speech a fault is seen (`speak.takes`) is said anew, `tries` times in all; of these, and of `best_of`
        that are made at once, the best is returned. With one try and one take nothing is judged.

        `voice` is a clip (`Voice`), a saved one (`SavedVoice`), or one for each speaker: `{"S1": ..., "S2": ...}`; a list
        has one of these or None for each text. A text without a speaker tag is said by `[S1]`. `max_seconds` limits each
        speech (default: 30, or what the model holds), `guidance` and `temperature` default to the model's own; they and
        the others are those of `rosella.inference.settings.Sampling`. A model that learnt blocks may make many steps at
        once by `blocks`. `progress` hears how many are made, a batch after the other.
        Raises UserError for texts, clips, limits and settings that the model cannot take.
        """
        _require_count(best_of)
        starts = self._starts([texts] if isinstance(texts, str) else list(texts), voice)
        frames = self._frames(max_seconds, max(len(start.before.codes) for start in starts))
        sampling = self._sampling(guidance, temperature, top_k, top_p, blocks)
        most = None if max_seconds is None else frames

        def made(asked: Sequence[tuple[int, int]]) -> list[Take]:
            rows = [starts[number] for number, _ in asked], [seed + of for _, of in asked]
            return self._generate(*rows, frames, sampling, progress)

        def judged(number: int, take: Take) -> Verdict:
            return self._judge(starts[number], take, most)

        if tries == best_of == 1:
            takes = made([(number, number) for number in range(len(starts))])
        else:
            takes = best_takes(len(starts), made, judged, tries, best_of)
        return self._decoded(takes)

    def stream(
        self,
        text: str | Iterable[str],
        voice: Voices | Past | None = None,
        seed: int = 0,
        max_seconds: float | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int = 50,
        top_p: float = 0.95,
        pace: float = 1.0,
        best_of: int | None = None,
        blocks: Blocks | None = None,
    ) -> Recital:
        """Speak a script of any length, which comes in pieces float32 [samples] while it is made.

        Of a text that the model can say at once, the pieces joined are what `speak` makes of it (to 1e-4). Nothing is made
        unless it is asked for. Arguments and errors are those of `speak`; `max_seconds` limits the speech of a whole script,
        without its pauses. With a `pace` of 1.5 it is that much faster, 0.25 to 4, at the same pitch; pauses stay as long.

        With `best_of`, every piece is made whole and judged before any of it is heard: of so many takes the best, and anew
        where it has a fault. Without, so are only those for which there is time while others are heard.

        A text that is still being written comes as fragments of any size, asked for as late as can be: who has none yet,
        waits. What follows an earlier speech has its `said` as voice.
        """
        sampling = self._sampling(guidance, temperature, top_k, top_p, blocks)
        rows = None if best_of is None else self._begin_rows
        count = _require_count(1 if best_of is None else best_of)
        return Recital(self, text, voice, seed, max_seconds, sampling, pace, rows, count)

    def begin(
        self, ids: np.ndarray, prompt: Prompt | None, frames: int, seed: int, sampling: Sampling
    ) -> UnderWay:
        """The generation of one text, byte ids int32 [bytes], of which no step has been taken."""
        return self._begin_rows(ids, prompt, frames, [seed], sampling)

    def _begin_rows(
        self,
        ids: np.ndarray,
        prompt: Prompt | None,
        frames: int,
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> UnderWay:
        prompts = None if prompt is None else [prompt] * len(seeds)
        rows = dialogue.pad_batch([ids] * len(seeds))
        return self._running(*rows, frames, prompts, sampling, seeds, roomy=True)

    def sampling(self, blocks: Blocks | None = None) -> Sampling:
        """The model's own settings; UserError for blocks that it did not learn."""
        from rosella.inference.settings import Sampling

        self._require_learnt(blocks)
        return Sampling(self.config.guidance, self.config.temperature, blocks=blocks)

    def table(self, places: int, blocks: Blocks | None = None) -> Table[Any]:
        """An empty table for so many speeches at once, with `sampling` of these blocks."""
        sampling = self.sampling(blocks)
        if self._of_torch:
            from rosella.pytorch import Table as TorchTable

            return TorchTable(self.model, sampling, places)
        from rosella.inference.table import Table

        return Table(self.model, sampling, places, self.weights)

    def follow(self, ids: np.ndarray, codes: np.ndarray) -> Followed:
        """Where in a text, byte ids int32 [bytes], each frame of codes [frames, codebooks] is that says it."""
        if self._of_torch:
            return self.model.follow(ids, codes)
        from rosella.inference.alignment import follow

        return follow(self.model, ids, codes, self.weights)

    @cached_property
    def _running(self) -> Callable[..., UnderWay]:
        """What begins generations, with the arguments of `inference.generate.Running` behind the model."""
        if self._of_torch:
            return self.model.begin
        from rosella.inference.generate import Running

        return partial(Running, self.model, weights=self.weights)

    @cached_property
    def weights(self) -> DecodingWeights:
        """Of a model in JAX, as its steps want them."""
        from rosella.inference.generate import prepared

        return prepared(self.model)

    @property
    def _of_torch(self) -> bool:
        """Asked of the model itself, lest either framework be imported for it."""
        return hasattr(self.model, "follow")

    def _sampling(
        self,
        guidance: float | None,
        temperature: float | None,
        top_k: int,
        top_p: float,
        blocks: Blocks | None,
    ) -> Sampling:
        """What was not said is the model's own."""
        from rosella.inference.settings import Sampling

        config = self.config
        self._require_learnt(blocks)
        return Sampling(
            config.guidance if guidance is None else guidance,
            config.temperature if temperature is None else temperature,
            top_k,
            top_p,
            blocks,
        )

    def _require_learnt(self, blocks: Blocks | None) -> None:
        if blocks is None:
            return
        if self._of_torch:
            raise UserError(
                "Blocks are computed by JAX alone: load the model without a backend, or leave them out."
            )
        most = self.config.blocks
        if blocks.size > most:
            learnt = "one step after another" if most == 1 else f"blocks of {most}"
            raise UserError(
                f"The model learnt {learnt}, and would babble in blocks of {blocks.size}: leave them out, choose smaller "
                "ones, or train it with objective=blocks (docs/blocks.md)."
            )

    def _judge(self, start: Start, take: Take, most: int | None) -> Verdict:
        (before, text), rate = start, self.codec.frame_rate
        pace = pace_of(before.text, len(before.codes) / rate)
        return judge(take, text, pace, rate, lambda: self.follow(dialogue.encode(text), take.codes), most)

    def _generate(
        self,
        starts: Sequence[Start],
        seeds: Sequence[int],
        frames: int,
        sampling: Sampling,
        progress: Progress,
    ) -> list[Take]:
        """A take of each, those of similar length in one batch, which lasts as long as its longest."""
        from rosella.inference.layout import no_prompt

        takes: dict[int, Take] = {}
        limit = self.config.encoder.max_position_embeddings
        order = sorted(range(len(starts)), key=lambda number: len(starts[number].text))
        for batch in _batches(len(starts)):
            rows = [order[place % len(order)] for place in batch]
            running = self._running(
                *dialogue.pad_batch([starts[row].ids(limit) for row in rows]),
                frames,
                [starts[row].prompt or no_prompt(self.config) for row in rows],
                sampling,
                [seeds[row] for row in rows],
            )
            running.advance(self.config.steps(frames))
            made = running.so_far()
            takes |= zip(rows, map(Take, made.codes, map(bool, made.stopped)), strict=True)
            progress(len(takes))
        return [takes[row] for row in range(len(starts))]

    def _decoded(self, takes: Sequence[Take]) -> list[Speech]:
        waves = [np.zeros(0, np.float32)] * len(takes)
        spoken = [number for number, take in enumerate(takes) if len(take.codes)]
        for first in range(0, len(spoken), MAX_BATCH):
            numbers = spoken[first : first + MAX_BATCH]
            for number, wave in zip(
                numbers, self.codec.decode([takes[n].codes for n in numbers]), strict=True
            ):
                waves[number] = wave
        pairs = zip(waves, takes, strict=True)
        return [Speech(wave, self.codec.sample_rate, take.codes, take.stopped) for wave, take in pairs]

    def _starts(self, texts: list[str], voice: Voices | Sequence[Voices | None] | None) -> list[Start]:
        """What each text goes on from; UserError for what the model cannot read."""
        if not texts:
            raise UserError("There is no text to speak: give at least one.")
        voices = voice if isinstance(voice, Sequence) else [voice] * len(texts)
        if len(voices) != len(texts):
            raise UserError(
                f"There are {len(voices)} voices for {len(texts)} texts: give one for each, or one for all."
            )
        pasts = {id(each): Past.of(each, self.codec) for each in {id(each): each for each in voices}.values()}
        pairs = zip(voices, texts, strict=True)
        starts = [pasts[id(each)].before(dialogue.tagged(text)) for each, text in pairs]
        for start in starts:
            start.ids(self.config.encoder.max_position_embeddings)
        return starts

    def _frames(self, max_seconds: float | None, prompt_frames: int) -> int:
        rate = self.codec.frame_rate
        free = room_after(prompt_frames, self.config, rate)
        if max_seconds is None:
            return min(free, math.ceil(LONGEST_SECONDS * rate))
        if not 0 < max_seconds <= free / rate:
            raise UserError(
                f"max-seconds is {max_seconds:g}, but the model can speak more than 0 and "
                f"at most {free / rate:.1f} s{' after this clip' if prompt_frames else ''}: choose a length between them."
            )
        return max(1, math.floor(max_seconds * rate))


def _batches(count: int) -> list[range]:
    """Equal batches of at most `MAX_BATCH` rows; rows beyond `count` only fill the last one."""
    batches = -(-count // MAX_BATCH)
    size = -(-count // batches)
    return [range(start, start + size) for start in range(0, batches * size, size)]


def _require_count(best_of: int) -> int:
    if not 1 <= best_of <= MAX_BATCH:
        raise UserError(f"best-of is {best_of}: choose 1 to {MAX_BATCH} takes.")
    return best_of
