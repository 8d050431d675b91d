"""A recogniser: Whisper of any size, in Transformers' format, and what it can write down.

Beside Transformers' own keys its `config.json` may hold `rosella`:
  prompts        which task token asks for which transcript, e.g. {"verbatim": "<|transcribe|>"}
  languages      which language token stands in for a language that has none, e.g. {"fy": "nl"}
  short_windows  whether it was trained on windows cut to the speech, so that it need not encode the silence behind it
A Whisper without that key writes clean transcripts. Tensors: B rows, M mel bands, F frames of 10 ms, L tokens.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from rosella import devices
from rosella.corpus.recogniser import KINDS, Kind, Written
from rosella.corpus.steps.transcribe import Transcriber
from rosella.errors import UserError

FRAMES_PER_STATE = 2
"""The encoder halves the frame rate."""

SHORT_STEP = 100
"""Frames that a cut window is a multiple of, so that few shapes occur."""

_TRANSCRIBE = "<|transcribe|>"
_STUCK = 32
"""Rows that have ended are dropped from a batch every so many tokens."""


@dataclass(frozen=True)
class Settings:
    """The `rosella` part of a configuration."""

    prompts: dict[str, str]
    languages: dict[str, str]
    short_windows: bool


@dataclass
class Recogniser:
    """The model, its tokenizer and its feature extractor; `load` makes one."""

    model: WhisperForConditionalGeneration
    tokenizer: WhisperTokenizer
    extractor: WhisperFeatureExtractor

    @classmethod
    def load(
        cls, name: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Recogniser:
        """Read `mini` (embedded), a directory or a name on the hub, by default for the best device and the type it is
        fast in."""
        if str(name) == "mini":
            from rosella import mini

            name = mini.path("recogniser")
        where = devices.device(None if device is None else str(device))
        try:
            extractor = WhisperFeatureExtractor.from_pretrained(name)
            tokenizer = WhisperTokenizer.from_pretrained(name)
            model: Any = WhisperForConditionalGeneration.from_pretrained(
                name, dtype=fast_dtype(where) if dtype is None else dtype, attn_implementation="sdpa"
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{name} cannot be loaded as a Whisper recogniser: {reason}") from error
        return cls(model.to(where).eval(), tokenizer, extractor)

    def save(self, directory: str | Path) -> None:
        for part in (self.model, self.tokenizer, self.extractor):
            part.save_pretrained(directory)

    @property
    def settings(self) -> Settings:
        values = getattr(self.model.config, "rosella", {})
        defaults: dict[str, Any] = {
            "prompts": {"clean": _TRANSCRIBE},
            "languages": {},
            "short_windows": False,
        }
        return Settings(**{**defaults, **values})

    def change(self, **values: Any) -> None:
        """Set parts of `settings`."""
        self.model.config.rosella = vars(replace(self.settings, **values))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The transcripts it writes."""
        return tuple(kind for kind in KINDS if kind in self.settings.prompts)

    @property
    def fingerprint(self) -> str:
        """Tells one recogniser from another by its settings and the first values of every tensor."""
        facts = hashlib.sha256(repr(self.settings).encode())
        for name, value in self.model.state_dict().items():
            facts.update(name.encode() + value.flatten()[:16].float().cpu().numpy().tobytes())
        return facts.hexdigest()[:16]

    @property
    def batch_size(self) -> int:
        """Clips it is best given at once."""
        return 64 if self.model.device.type == "cuda" else 16

    @property
    def sample_rate(self) -> int:
        return self.extractor.sampling_rate

    @property
    def window_frames(self) -> int:
        return self.model.config.max_source_positions * FRAMES_PER_STATE

    @property
    def window(self) -> float:
        """Seconds of audio it hears at once."""
        return self.window_frames * self.extractor.hop_length / self.sample_rate

    @property
    def languages(self) -> dict[str, int]:
        """The token of each language it knows, stand-ins included."""
        settings: Any = self.model.generation_config
        tokens = {name.strip("<|>"): number for name, number in (settings.lang_to_id or {}).items()}
        return {**tokens, **{name: tokens[other] for name, other in self.settings.languages.items()}}

    def hears_like(self, other: Recogniser) -> bool:
        """Whether the encoders are the same, so that one pass serves both."""
        if self is other:
            return True
        weights, others = (one.model.model.encoder.state_dict() for one in (self, other))
        return (
            self.settings.short_windows == other.settings.short_windows
            and weights.keys() == others.keys()
            and all(torch.equal(value, others[name]) for name, value in weights.items())
        )

    def prompt(self, kind: Kind, language: str) -> list[int]:
        """The ids a transcript begins with: start, language, task, no timestamps."""
        if kind not in self.settings.prompts:
            raise UserError(f"This recogniser writes no {kind} transcripts: name one that was trained to.")
        if language not in self.languages:
            raise UserError(
                f"The recogniser knows no language {language!r}: choose a language it knows to stand in for it "
                f"(language_tokens: {{{language}: ...}} in the recipe)."
            )
        return [
            self.token("<|startoftranscript|>"),
            self.languages[language],
            self.token(self.settings.prompts[kind]),
            self.token("<|notimestamps|>"),
        ]

    def token(self, *names: str) -> int:
        """The id of the first of these special tokens that the vocabulary has."""
        ids: Any = self.tokenizer.convert_tokens_to_ids(list(names))
        return next(number for number in ids if number != self.end)

    @property
    def no_speech(self) -> int:
        return self.token("<|nospeech|>", "<|nocaptions|>")

    @property
    def end(self) -> int:
        token: Any = self.tokenizer.eos_token_id
        return token

    def text_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def features(self, waves: Sequence[np.ndarray], frames: int | None = None) -> Tensor:
        """Log-mel features float32 [B, M, F] on the CPU, of `frames` or as many as `width` says."""
        frames = frames or self.width(max(len(wave) for wave in waves))
        samples = frames * self.extractor.hop_length
        made = self.extractor(
            list(waves),
            sampling_rate=self.sample_rate,
            padding="max_length",
            max_length=samples,
            truncation=False,
            return_tensors="pt",
        )
        return made.input_features

    def width(self, samples: int) -> int:
        """Frames to encode for `samples`: the whole window, or less where the model was trained so."""
        frames = -(-samples // self.extractor.hop_length)
        if frames > self.window_frames:
            raise UserError(
                f"{samples / self.sample_rate:.1f} s of audio do not fit the recogniser's window "
                f"of {self.window:.0f} s: cut them shorter."
            )
        if not self.settings.short_windows:
            return self.window_frames
        return min(-(-frames // SHORT_STEP) * SHORT_STEP, self.window_frames)

    @torch.inference_mode()
    def encode(self, features: Tensor) -> Tensor:
        """Encoder states [B, F / 2, width] of log-mel features."""
        return encode(self.model, features.to(self.model.device, self.model.dtype))

    @torch.inference_mode()
    def listen(self, states: Tensor) -> tuple[list[str], list[float]]:
        """The likeliest language of each row, and the probability that nobody speaks in it."""
        starts = torch.full((len(states), 1), self.token("<|startoftranscript|>"), device=states.device)
        logits = self._logits(starts, states, None)[:, -1]
        names, tokens = zip(*self.languages.items(), strict=True)
        best = logits[:, list(tokens)].argmax(-1).tolist()
        silent = logits.softmax(-1)[:, self.no_speech].tolist()
        return [names[number] for number in best], silent

    @torch.inference_mode()
    def write(self, states: Tensor, prompts: Sequence[Sequence[int]]) -> list[Written]:
        """Continue the prompts [B, L] greedily, each to its end or to the last position the model has."""
        ids = torch.tensor(prompts, device=states.device)
        limit = self.model.config.max_target_positions - ids.shape[1]
        cache, rows = _new_cache(), torch.arange(len(ids), device=states.device)
        written = torch.full((len(ids), limit), self.end, device=states.device)
        scores = torch.zeros(len(ids), device=states.device)
        done = torch.zeros(len(ids), dtype=torch.bool, device=states.device)
        never, at_first = self._forbidden(states.device)
        for position in range(limit):
            logits = self._logits(ids, states, cache)[:, -1] + (never if position else at_first)
            best, token = logits.log_softmax(-1).max(-1)
            token = torch.where(done, self.end, token)
            written[rows, position] = token
            scores[rows] += torch.where(done, 0.0, best)
            done, ids = done | (token == self.end), token[:, None]
            if (position + 1) % _STUCK == 0 or bool(done.all()):
                kept = torch.nonzero(~done)[:, 0]
                if not len(kept):
                    break
                rows, states, done, ids = rows[kept], states[kept], done[kept], ids[kept]
                cache.batch_select_indices(kept)
        return [self._cut(row, score) for row, score in zip(written.tolist(), scores.tolist(), strict=True)]

    @torch.inference_mode()
    def weigh(self, states: Tensor, prompt: Sequence[int], text: str) -> Written:
        """What `write` would tell of a text for one row [1, F / 2, width], had it written that."""
        ids = self.text_ids(text)
        room = self.model.config.max_target_positions - len(prompt)
        if len(ids) >= room:
            return Written(tuple(ids[:room]), -math.inf, False)
        seen = torch.tensor([[*prompt, *ids]], device=states.device)
        logits = self._logits(seen, states, None, steps=len(ids) + 1)[0]
        never, at_first = self._forbidden(states.device)
        chances = torch.cat([logits[:1] + at_first, logits[1:] + never]).log_softmax(-1)
        told = torch.tensor([*ids, self.end], device=states.device)
        return Written(tuple(ids), float(chances.gather(1, told[:, None]).sum()), True)

    def _cut(self, ids: list[int], score: float) -> Written:
        ended = self.end in ids
        return Written(tuple(ids[: ids.index(self.end)] if ended else ids), score, ended)

    def _logits(
        self, ids: Tensor, states: Tensor, cache: EncoderDecoderCache | None, steps: int = 1
    ) -> Tensor:
        """Those of the last so many steps."""
        decoder = self.model.model.decoder
        made = decoder(
            input_ids=ids, encoder_hidden_states=states, past_key_values=cache, use_cache=cache is not None
        )
        return self.model.proj_out(made.last_hidden_state[:, -steps:]).float()

    def _forbidden(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """What to add to logits so that special and suppressed tokens are not written: always, and as the first."""
        settings = self.model.generation_config
        never = torch.zeros(self.model.config.vocab_size, device=device)
        special = set(self.tokenizer.all_special_ids) - {self.end}
        never[[*special, *(settings.suppress_tokens or [])]] = -torch.inf
        never[self.token("<|notimestamps|>") :] = -torch.inf
        at_first = never.clone()
        at_first[settings.begin_suppress_tokens or []] = -torch.inf
        return never, at_first


def encode(model: WhisperForConditionalGeneration, features: Tensor) -> Tensor:
    """Whisper's encoder over any even number of frames up to the window, with gradients.

    Transformers' own insists on the whole window; on that it gives the same.
    """
    encoder = model.model.encoder
    states = torch.nn.functional.gelu(encoder.conv1(features))
    states = torch.nn.functional.gelu(encoder.conv2(states)).permute(0, 2, 1)
    states = states + encoder.embed_positions.weight[: states.shape[1]]
    states = torch.nn.functional.dropout(states, p=encoder.dropout, training=encoder.training)
    for layer in encoder.layers:
        states = layer(states, None)
    return encoder.layer_norm(states)


def load_transcriber(
    name: str | Path, clean: str | Path | None = None, device: str | None = None
) -> Transcriber:
    """Both transcripts where they can be had: from one recogniser that writes both, or from another for the clean one,
    or by rules from the verbatim one."""
    recogniser = Recogniser.load(name, device)
    writers: dict[Kind, Recogniser] = dict.fromkeys(recogniser.kinds, recogniser)
    if clean is not None:
        writers["clean"] = Recogniser.load(clean, device)
    return Transcriber(writers, rules="clean" not in writers)


def fast_dtype(device: torch.device) -> torch.dtype:
    """The type to transcribe in: bfloat16 or float16 on CUDA, float32 elsewhere."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _new_cache() -> EncoderDecoderCache:
    return EncoderDecoderCache(DynamicCache(), DynamicCache())
