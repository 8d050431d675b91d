"""pyannote pipelines as diarizers: better than the embedded one on real speech, and they hear overlaps.

Needs `pip install 'rosella-tts[pyannote]'`. A pipeline's `config.yaml` can name any Python callable, so load only
folders you trust. The recording is held in memory, 230 MB an hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosella import audio
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn, speaker_name
from rosella.errors import UserError

SAMPLE_RATE = 16_000


class PyannoteDiarizer:
    """A pipeline by its name on the Hub (gated ones need `HF_TOKEN` in the environment) or by folder."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        self._pipeline = _load(name, device)
        config = Path(name) / "config.yaml"
        which = hashlib.sha256(config.read_bytes()).hexdigest()[:12] if config.is_file() else name
        self.version = f"pyannote-{which}"

    def diarize(self, path: str | PathLike[str]) -> Diarization:
        """Turns, overlaps and embeddings of a recording. A UserError says why it cannot be read."""
        import torch

        wave = torch.from_numpy(np.concatenate(list(audio.blocks(path, SAMPLE_RATE))))
        found = self._pipeline({"waveform": wave[None], "sample_rate": SAMPLE_RATE, "uri": Path(path).name})
        labels = found.speaker_diarization.labels()
        alone = found.exclusive_speaker_diarization
        turns = [(s.start, s.end, label) for s, _, label in alone.itertracks(yield_label=True)]
        embeddings = dict(zip(labels, found.speaker_embeddings, strict=True))
        everyone = [(s.start, s.end) for s, _ in found.speaker_diarization.itertracks()]
        return translate(turns, everyone, embeddings)

    def embed(self, path: str | PathLike[str], turns: Sequence[SpeakerTurn]) -> dict[str, np.ndarray]:
        """Nobody's: a pipeline embeds only whom it found itself."""
        return {}


def translate(
    turns: Iterable[tuple[float, float, str]],
    everyone: Iterable[tuple[float, float]],
    embeddings: dict[str, np.ndarray],
) -> Diarization:
    """A pipeline's output in our terms; `everyone` are the turns including those that overlap."""
    ordered = sorted(turns)
    names = {label: speaker_name(n) for n, label in enumerate(dict.fromkeys(label for *_, label in ordered))}
    lengths = {label: float(np.linalg.norm(embeddings[label])) for label in names}
    units = {
        names[label]: (embeddings[label] / length).astype(np.float32)
        for label, length in lengths.items()
        if length > 0  # pyannote gives zeros to whom it heard only beside others
    }
    return Diarization(
        [SpeakerTurn(start, end, names[label]) for start, end, label in ordered], overlaps(everyone), units
    )


def overlaps(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where two spans or more lie over each other, in order of time."""
    changes = sorted(change for start, end in spans for change in ((start, 1), (end, -1)))
    counts = np.cumsum([step for _, step in changes])
    found: list[tuple[float, float]] = []
    for ((start, _), (end, _)), count in zip(pairwise(changes), counts, strict=False):
        if count < 2 or end <= start:
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _load(name: str, device: str) -> Any:
    try:
        from pyannote.audio import Pipeline
        from pyannote.audio.telemetry import set_telemetry_metrics
    except ModuleNotFoundError:
        raise UserError(
            f"The diarizer {name} is a pyannote pipeline: pip install 'rosella-tts[pyannote]', or use \"embedded\"."
        ) from None
    import torch

    set_telemetry_metrics(False)  # nobody is told what is processed here
    try:
        pipeline = Pipeline.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"The pyannote pipeline {name} cannot be loaded ({error}): check its name."
        ) from error
    if pipeline is None:
        raise UserError(f"The pyannote pipeline {name} cannot be had: accept its terms and set HF_TOKEN.")
    return pipeline.to(torch.device(device))
