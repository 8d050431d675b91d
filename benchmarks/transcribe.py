"""Transcription: seconds of audio a second, against Transformers' pipeline with the same model and device.

usage: python benchmarks/transcribe.py [MODEL] [EXAMPLES]

The pipeline is called as its documentation does, with a list of waveforms, and once more in batches. Ours is timed
with one transcript, as the pipeline writes one, and with both. Decoding the audio counts for neither.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _machine import row

from rosella import audio, mini
from rosella.asr.examples import read_examples
from rosella.asr.recogniser import Recogniser
from rosella.corpus.recogniser import Clip, Kind
from rosella.corpus.steps.transcribe import Transcriber
from rosella.evaluate.sentences import read_sentences

CLIPS = 64


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else str(mini.path("recogniser"))
    clips = example_clips(Path(sys.argv[2])) if len(sys.argv) > 2 else held_out_clips()
    recogniser = Recogniser.load(model)
    waves = [audio.decode(clip.audio, recogniser.sample_rate, clip.start, clip.end) for clip in clips]
    kind: Kind = "clean" if "clean" in recogniser.kinds else "verbatim"
    transcribers = {"one transcript": Transcriber({kind: recogniser})}
    if len(recogniser.kinds) == 2:
        transcribers["both transcripts"] = Transcriber(dict.fromkeys(recogniser.kinds, recogniser))
    work: dict[str, Callable[[], object]] = {
        "pipeline": lambda: piped(recogniser, clips, waves, 1),
        f"pipeline, batches of {recogniser.batch_size}": lambda: piped(
            recogniser, clips, waves, recogniser.batch_size
        ),
        **{name: lambda made=made: in_batches(made, clips, waves) for name, made in transcribers.items()},
    }
    seconds = sum(map(len, waves)) / recogniser.sample_rate
    base = 0.0
    for name, do in work.items():
        speed = seconds / timed(do)
        base = base or speed
        print(
            row(f"transcribe, {name}", f"{speed:.1f} s of audio a second, {speed / base:.1f} x the pipeline")
        )


def timed(do: Callable[[], object]) -> float:
    """Seconds of the faster of two runs."""
    took = []
    for _ in range(2):
        start = time.perf_counter()
        do()
        took.append(time.perf_counter() - start)
    return min(took)


def piped(recogniser: Recogniser, clips: list[Clip], waves: list[np.ndarray], rows: int) -> list:
    from transformers import pipeline

    pipe = pipeline(
        "automatic-speech-recognition",
        model=recogniser.model,
        tokenizer=recogniser.tokenizer,
        feature_extractor=recogniser.extractor,
        device=recogniser.model.device,
        batch_size=rows,
    )
    how = {"language": clips[0].language, "task": "transcribe"}
    return list(pipe([wave.copy() for wave in waves], generate_kwargs=how))


def in_batches(transcriber: Transcriber, clips: list[Clip], waves: list[np.ndarray]) -> None:
    order = np.argsort([-len(wave) for wave in waves])
    for start in range(0, len(order), transcriber.batch_size):
        some = order[start : start + transcriber.batch_size]
        transcriber.write([clips[place] for place in some], [waves[place] for place in some])


def example_clips(directory: Path) -> list[Clip]:
    """Test examples of one language, as the pipeline takes one language a call."""
    examples = read_examples(directory, "test")
    chosen = [e for e in examples if e.language == examples[0].language][:CLIPS]
    return [Clip(e.id, e.audio, e.start, e.end, e.language) for e in chosen]


def held_out_clips() -> list[Clip]:
    """The podcast's held-out sentences in one language."""
    entries = read_sentences(mini.path("podcast") / "heldout" / "manifest.jsonl")
    chosen = [entry for entry in entries if entry.language == entries[0].language][:CLIPS]
    lengths = [audio.probe(entry.audio).duration for entry in chosen]
    return [
        Clip(entry.audio.name, entry.audio, 0.0, length, entry.language)
        for entry, length in zip(chosen, lengths, strict=True)
    ]


if __name__ == "__main__":
    main()
