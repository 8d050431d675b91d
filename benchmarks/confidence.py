"""Whether a recogniser's confidence tells what it understood from what it guessed: area under the ROC curve.

usage: python benchmarks/confidence.py [--recogniser mini] [SOURCE ...]

Makes exchanges of voices that the embedded recogniser never heard (tools/mini). A SOURCE, anything that `rosella corpus
add` reads, adds other speech in recordings no longer than the recogniser's window. A clip is good with fewer than 30 %
of its words wrong, and nonsense with more than 70 %; without a transcript it counts as speech that the recogniser does
not know. Prints how likely a good clip has the higher confidence of two, for each source, and how many pass the bound
of an export.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import numpy as np
from _machine import row

from mini.recogniser import LANGUAGES, recording, tasks
from mini.speech import UNHEARD_VOICES
from rosella import audio
from rosella.asr.recogniser import Recogniser
from rosella.asr.scores import Pair, score
from rosella.corpus.recogniser import Clip
from rosella.corpus.sources.read import read_source
from rosella.corpus.steps.transcribe import Transcriber
from rosella.records import LEAST_SURE

GOOD, NONSENSE = 0.3, 0.7
EXCHANGES = 60  # per language


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recogniser", default="mini")
    parser.add_argument("sources", nargs="*")
    options = parser.parse_args()
    recogniser = Recogniser.load(options.recogniser)
    transcriber = Transcriber({recogniser.kinds[0]: recogniser})
    with tempfile.TemporaryDirectory() as folder:
        heard = {"espeak-ng, unheard voices": results(transcriber, *synthesised(Path(folder)))}
    for source in options.sources:
        heard[Path(source).name] = results(transcriber, *given(source, transcriber.window))
    report(heard)


def synthesised(folder: Path) -> tuple[list[Clip], dict[str, str]]:
    made = tasks(folder, "test", UNHEARD_VOICES, len(LANGUAGES), EXCHANGES, "mini")
    examples = [example for task in made for example in recording(task)]
    clips = [Clip(e.id, e.audio, e.start, e.end, e.language) for e in examples]
    return clips, {e.id: e.text for e in examples}


def given(source: str, window: float) -> tuple[list[Clip], dict[str, str]]:
    """Whole recordings that fit the window, and what is said in those that say so."""
    clips, texts = [], {}
    for number, entry in enumerate(read_source(source)):
        if (seconds := audio.probe(entry.audio).duration) <= window:
            clips.append(Clip(str(number), entry.audio, 0.0, seconds, entry.language))
            texts |= {str(number): " ".join(turn.text for turn in entry.turns)} if entry.turns else {}
    return clips, texts


def results(
    transcriber: Transcriber, clips: list[Clip], texts: dict[str, str]
) -> list[tuple[float, float | None]]:
    """Confidence and word error rate of every clip in which something was heard."""
    found = []
    for name, made in transcriber.transcribe(clips).transcriptions.items():
        (written,) = made.transcripts.values()
        if written.text:
            pair = [Pair(texts[name], written.text, made.language)] if name in texts else []
            found.append((written.log_probability, score(pair).plain_words.rate))
    return found


def report(heard: dict[str, list[tuple[float, float | None]]]) -> None:
    good = [sure for found in heard.values() for sure, wer in found if wer is not None and wer < GOOD]
    print(row("confidence, good clips of all sources", f"{len(good)}, {passing(good)} pass"))
    for source, found in heard.items():
        guessed = [sure for sure, wer in found if wer is None or wer > NONSENSE]
        area = f"AUC {auc(good, guessed):.3f}, " if guessed and good else ""
        print(
            row(
                f"confidence, nonsense of {source}",
                f"{area}{len(guessed)} of {len(found)}, {passing(guessed)} pass",
            )
        )


def passing(confidences: list[float]) -> int:
    return sum(sure >= LEAST_SURE for sure in confidences)


def auc(good: list[float], bad: list[float]) -> float:
    """How likely one of `good` is above one of `bad`; a draw counts half."""
    above = np.subtract.outer(good, bad)
    return float(np.mean(above > 0) + np.mean(above == 0) / 2)


if __name__ == "__main__":
    main()
