"""Voices to speak in: clips, voices saved in one file each, and the shelf they lie on.

A saved voice is a safetensors file with one tensor, `codes`, and the rest of `SavedVoice` as JSON in its metadata.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

import rosella
from rosella import audio, dialogue
from rosella.codec.facts import CodecFacts
from rosella.errors import UserError
from rosella.files import write_bytes

if TYPE_CHECKING:
    from rosella.codec.interface import Codec

SUFFIX = ".voice.safetensors"
SHORTEST, LONGEST = 2.0, 30.0
"""Seconds of a clip that may be saved."""
QUIETEST = -60.0
"""Level of speech in dBFS below which a clip holds none."""

_METADATA = "rosella.voice"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Voice:
    """A clip to imitate: mono float32 `audio` [samples] at `sample_rate` Hz, and just what is said in it."""

    audio: np.ndarray
    sample_rate: int
    text: str


class SavedVoice(BaseModel):
    """One speaker's clip as `codes` uint16 [frames, codebooks], what is said in it, and what may be done with it.

    `text` begins with `[S1]`, `consent` says who agreed, when and to what, `version` is that of Rosella.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    codes: Annotated[np.ndarray, Field(exclude=True, repr=False)]
    text: str
    codec: CodecFacts
    licence: str
    consent: str
    language: str | None = None
    made: AwareDatetime
    version: str

    @property
    def seconds(self) -> float:
        return len(self.codes) / self.codec.frame_rate

    def model_post_init(self, _: Any) -> None:
        """Raises UserError for what may not be saved, nor used by whom it was given."""
        _check_codes(self.codes, self.codec)
        require_leave(self.licence, self.consent)
        if said_by(self.text, dialogue.TAGS[0]) != self.text:
            raise UserError(f"The transcript of a saved voice begins with {dialogue.TAGS[0]}: save it again.")
        for name in ("language", "version"):
            if not (getattr(self, name) or "").isprintable():
                raise UserError(f"The {name} of a voice is one line of text: leave out control characters.")


AnyVoice = Voice | SavedVoice
Voices = AnyVoice | Mapping[str, AnyVoice]
"""One voice, or several by speaker: `{"S1": ..., "S2": ...}`."""


def make_voice(
    clip: Voice, codec: Codec, *, licence: str, consent: str, language: str | None = None
) -> SavedVoice:
    """The clip as a voice to save. Raises UserError where it is not 2 to 30 s of one speaker, or without leave."""
    require_leave(licence, consent)
    _require_samples(clip)
    require_length(len(clip.audio) / clip.sample_rate)
    if audio.speech_level(clip.audio, clip.sample_rate) < QUIETEST:
        raise UserError("The clip holds no sound to speak of: give one in which somebody speaks.")
    made = datetime.now(UTC).replace(microsecond=0)
    return SavedVoice(
        codes=encoded(clip, codec),
        text=said_by(clip.text, dialogue.TAGS[0]),
        codec=CodecFacts.of(codec),
        licence=licence.strip(),
        consent=consent.strip(),
        language=language,
        made=made,
        version=rosella.__version__,
    )


def save_voice(path: Path, voice: SavedVoice) -> None:
    """Write a voice as one file, whole or not at all."""
    from safetensors.numpy import save

    write_bytes(path, save({"codes": voice.codes}, {_METADATA: voice.model_dump_json()}))


def read_voice_file(path: Path) -> SavedVoice:
    """The voice in a file; raises UserError where there is none, or none that may be used."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about, codes = (file.metadata() or {})[_METADATA], file.get_tensor("codes")
        return SavedVoice.model_validate({**json.loads(about), "codes": codes})
    except FileNotFoundError:
        raise UserError(f"There is no voice file {path}: check the path.") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no saved voice: save it again (rosella voice save)."
        ) from error
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None


def voices_folder() -> Path:
    """Where saved voices lie: `ROSELLA_VOICES`, or a folder among the user's data."""
    if named := os.environ.get("ROSELLA_VOICES"):
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("rosella", appauthor=False) / "voices"


class VoiceShelf:
    """Saved voices by name, each a file in `folder`; a name is letters, digits, - and _, so it never is a path."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or voices_folder()

    def names(self) -> list[str]:
        """Of all voices there are, sorted."""
        found = (path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))
        return sorted(name for name in found if is_name(name))

    def path(self, name: str) -> Path:
        """The file of a voice that is there; UserError where the name is none, or nobody's."""
        path = self._place(name)
        if not path.is_file():
            raise UserError(f"There is no voice {name} in {self.folder}: see rosella voice list.")
        return path

    def get(self, name: str) -> SavedVoice:
        return read_voice_file(self.path(name))

    def require_free(self, name: str) -> Path:
        """The file that a new voice goes into; UserError where the name is none, or taken."""
        path = self._place(name)
        if path.exists():
            raise UserError(
                f"There is a voice {name} in {self.folder} already: choose another name, or remove that one."
            )
        return path

    def save(self, name: str, voice: SavedVoice) -> Path:
        """Put a new voice there and return its file."""
        path = self.require_free(name)
        save_voice(path, voice)
        return path

    def remove(self, name: str) -> None:
        self.path(name).unlink()

    def _place(self, name: str) -> Path:
        if not is_name(name):
            raise UserError(
                f"{name!r} cannot name a voice: take up to 64 letters (a to z), digits, - and _, a letter or digit first."
            )
        return self.folder / f"{name}{SUFFIX}"


def is_name(name: str) -> bool:
    """Whether a saved voice may be called so."""
    return _NAME.fullmatch(name) is not None


def require_leave(licence: str, consent: str) -> None:
    """Raises UserError for a voice that is to be kept without saying by whose leave."""
    if not consent.strip():
        raise UserError(
            "A voice is kept only with consent: say who agreed, when and to what "
            '(--consent "my own voice" where it is yours, "synthetic" where it is nobody\'s).'
        )
    if not licence.strip():
        raise UserError(
            "A voice is kept only with a licence: say under which it may be used (--licence CC-BY-4.0)."
        )
    if not (licence + consent).isprintable():
        raise UserError("Licence and consent are one line of text each: leave out line breaks.")


def require_length(seconds: float) -> None:
    """Raises UserError for a clip that is too short or too long to be kept."""
    if not SHORTEST <= seconds <= LONGEST:
        raise UserError(
            f"The clip lasts {seconds:.1f} s and a voice takes {SHORTEST:.0f} to {LONGEST:.0f} s of speech: "
            "give another one (5 to 10 s are enough)."
        )


def require_one_each(voices: Mapping[str, AnyVoice]) -> list[tuple[str, AnyVoice]]:
    """The voices by their tags, in the order of these; UserError for speakers that there are not."""
    known = {tag.strip("[]"): tag for tag in dialogue.TAGS}
    if not voices or not voices.keys() <= known.keys():
        unknown = ", ".join(sorted(voices.keys() - known.keys())) or "nobody"
        raise UserError(f"The voices are those of {unknown}: name speakers among {', '.join(known)}.")
    return [(tag, voices[name]) for name, tag in known.items() if name in voices]


def _check_codes(codes: np.ndarray, codec: CodecFacts) -> None:
    """Raises ValueError for what the codec never made."""
    shaped = codes.dtype == np.uint16 and codes.ndim == 2 and codes.shape[1] == codec.num_codebooks
    if (
        not shaped
        or not len(codes)
        or int(codes.max()) >= codec.codebook_size
        or not 0 < codec.frame_rate < np.inf
    ):
        raise ValueError(f"{codes.dtype}{list(codes.shape)} are no codes of {codec}")


def _require_samples(clip: Voice) -> None:
    if not len(clip.audio) or not np.isfinite(clip.audio).all():
        raise UserError("The voice clip is empty or holds NaN: give a few seconds of speech.")


def encoded(clip: Voice, codec: Codec) -> np.ndarray:
    """The clip as codes uint16 [frames, codebooks]."""
    _require_samples(clip)
    wave = audio.resample(clip.audio, clip.sample_rate, codec.sample_rate)
    return codec.encode([audio.normalise_loudness(wave, codec.sample_rate)])[0]


def said_by(text: str, tag: str) -> str:
    """A transcript of one speaker, under another tag; UserError where it has several."""
    text = dialogue.tagged(text).strip()
    tags = sorted(set(dialogue.speaker_tags(text)))
    if len(tags) > 1:
        raise UserError(
            f"The transcript of the voice has the speakers {' and '.join(tags)}: give a clip of one alone."
        )
    return text.replace(tags[0], tag)
