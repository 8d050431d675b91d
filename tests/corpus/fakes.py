"""A codec that is quick and exact, and audio made with numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from rosella.corpus.catalogue.leases import Lease
from rosella.corpus.catalogue.tables import JobRow

RATE = 16000


class FakeCodec:
    """Four codebooks from the mean and the extremes of each hop; deterministic, batch-independent."""

    sample_rate, frame_rate, hop, num_codebooks, codebook_size = RATE, 50.0, 320, 4, 256

    def __init__(self, fingerprint: str = "fake-codec") -> None:
        self.fingerprint = fingerprint
        self.encoded: list[int] = []

    def encode(self, waveforms):
        self.encoded += [len(w) for w in waveforms]
        return [self._one(np.pad(w, (0, -len(w) % self.hop)).reshape(-1, self.hop)) for w in waveforms]

    def _one(self, blocks):
        facts = np.stack([blocks.mean(1), blocks.max(1), blocks.min(1), blocks.std(1)], axis=1)
        return np.clip((facts + 1) * 127, 0, 255).astype(np.uint16)


def taken(catalogue, recording: str, stage: str, version: str = "1") -> Lease:
    """A stage of a recording in a test's hands, whether it is due or not."""
    with catalogue.session() as session:
        session.merge(JobRow(recording=recording, stage=stage, holder="test", expires=0.0, attempts=1))
    return Lease(recording, stage, version, "test", 1)


def tone(seconds: float, rate: int = RATE, pitch: float = 200.0, seed: int = 0) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.2 * np.sin(2 * np.pi * pitch * t) + 0.02 * noise).astype(np.float32)


def save_tone(path: Path, seconds: float, seed: int = 0, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([tone(seconds, rate, 150 + 20 * seed, seed)] * channels, 1), rate)
    return path


def turn(start: float, end: float, speaker: str = "anna", text: str = "eh hallo", **more) -> dict:
    return {"start": start, "end": end, "speaker": speaker, "text": text, **more}


def save_manifest(path: Path, lines: list[dict | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def small_source(folder: Path, recordings: int = 3) -> Path:
    """A manifest of recordings of 12 s with four turns each."""
    lines = []
    for i in range(recordings):
        save_tone(folder / f"r{i}.wav", 12.0, seed=i)
        turns = [
            turn(0.5, 2.5, "anna", f"eh hallo {i}", text_clean=f"Hallo {i}"),
            turn(2.6, 4.5, "ben", "ja (laughs)"),
            turn(4.5, 6.0, "anna", "n- nee"),
            turn(9.0, 11.5, "ben", "tot ziens"),
        ]
        lines.append({"audio": f"r{i}.wav", "language": "nl", "show": "demo", "turns": turns})
    return save_manifest(folder / "manifest.jsonl", lines)


def person(number: int, day: int = 0, noise: float = 0.02) -> np.ndarray:
    """The embedding of a person on some day: unit length, close to the same on other days."""
    rng = np.random.default_rng([number, day])
    vector = np.eye(64)[number] + noise * rng.standard_normal(64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
