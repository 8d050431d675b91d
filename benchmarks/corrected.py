"""What ten corrected minutes are worth: the embedded recogniser on a show of new words, before and after.

usage: python benchmarks/corrected.py [MINUTES] [--work DIR]

A show in English: two voices that nothing was trained on, half of its sentences of forty words that the recogniser has
never heard. Its recordings come as audio alone and pass `rosella corpus run`; a person who makes no mistakes corrects so
many minutes, clip by clip, as the page would save them, and rejects clips that cut a turn in two. Then the commands of
docs/annotating.md: `asr prepare`, `asr train`. Judged by word errors in all of the show's other recordings, tags included.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from _machine import row

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from mini.espeak import Espeak, Voice
from mini.sentences import grammar_sentence, listed_words, word_string
from mini.speech import Turn as Spoken
from mini.speech import write_recording
from rosella.asr.examples import read_examples, write_examples
from rosella.corpus import Corpus
from rosella.corpus.catalogue.corrections import Change, read, save
from rosella.corpus.corrections.clip import ClipState
from rosella.records import Turn

ROOT = Path(__file__).parents[1]
VOICES = (Voice("en+f5", 165, 55, 60), Voice("en+m7", 155, 45, 60))
WORDS, FILLED = 40, 0.2
WORKED, UNSEEN = 16, 10
"""Recordings of about a minute: those of which some are corrected, and those that judge."""
STEPS, RATE = 240, 2e-4
HALF = 0.5
"""Share of a turn that belongs to a clip; between this and `WHOLE` the clip cuts it."""
WHOLE = 0.9


def show(espeak: Espeak, folder: Path, count: int, seed: str) -> Path:
    """Recordings of two people and what is said in them, as a manifest."""
    folder.mkdir(parents=True)
    words = random.Random("the show's words").sample(listed_words("en", heard=False), WORDS)
    lines = []
    for number in range(count):
        chance, name = random.Random(f"{seed} {number}"), f"{seed}-{number:02d}.flac"
        exchanges = [[spoken(VOICES[turn % 2], words, chance) for turn in range(3)] for _ in range(7)]
        turns, _ = write_recording(espeak, exchanges, folder / name, number)
        lines.append({"audio": name, "language": "en", "show": "words", "turns": turns})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "manifest.jsonl"


def spoken(voice: Voice, words: list[str], chance: random.Random) -> Spoken:
    said = word_string(words, chance) if chance.random() < 0.5 else grammar_sentence("en", chance)
    if chance.random() < FILLED:
        heard = f"Uhm, {said[0].lower()}{said[1:]}"
        return Spoken(voice, heard, heard, said)
    return Spoken(voice, said, said, said)


def correct(corpus: Path, truth: dict[str, list[Turn]], minutes: float) -> tuple[float, int, int]:
    """Accept clips with what was really said until there are so many minutes of them: minutes, clips, rejected clips."""
    accepted, rejected, seconds = 0, 0, 0.0
    with Corpus.open(corpus) as opened:
        catalogue = opened.catalogue
        for recording in catalogue.done("tokenize", opened.codes or ""):
            for utterance in catalogue.utterances(recording.id):
                if seconds >= 60 * minutes:
                    return seconds / 60, accepted, rejected
                clip = read(catalogue, utterance.id)
                after, action = truly(clip.state, truth[Path(recording.path).name])
                save(catalogue, "person", [Change(clip.id, clip.version, after, action)], f"key {clip.id}")
                if after.verdict == "accepted":
                    accepted, seconds = accepted + 1, seconds + after.end - after.start
                else:
                    rejected += 1
    return seconds / 60, accepted, rejected


def truly(state: ClipState, truth: list[Turn]) -> tuple[ClipState, str]:
    """What a person who makes no mistakes makes of a clip."""
    shares = {turn: inside(turn, state) / (turn.end - turn.start) for turn in truth}
    if any(1 - WHOLE < share < WHOLE for share in shares.values()):
        return replace(state, verdict="rejected", reason="a turn is cut in two"), "reject"
    turns = tuple(
        replace(turn, start=max(turn.start, state.start), end=min(turn.end, state.end))
        for turn, share in shares.items()
        if share > HALF
    )
    if not turns:
        return replace(state, verdict="rejected", reason="nobody speaks"), "reject"
    return replace(state, turns=turns, verdict="accepted"), "accept"


def inside(turn: Turn, state: ClipState) -> float:
    return max(0.0, min(turn.end, state.end) - max(turn.start, state.start))


def rosella(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "rosella", *map(str, words)], check=True, stdout=sys.stderr)


def judged(examples: Path, model: object, out: Path) -> dict[str, float]:
    """Scores of a recogniser on all examples, whichever split their recordings would be in."""
    every = [replace(example, split="test") for example in read_examples(examples)]
    write_examples(examples, every, {})
    rosella("asr", "evaluate", examples, "--model", model, "--out", out)
    return json.loads((out / "scores.json").read_text())["summary"]


def measure(work: Path, minutes: float) -> list[str]:
    espeak = Espeak()
    said = show(espeak, work / "worked", WORKED, "worked")
    unseen = show(espeak, work / "unseen", UNSEEN, "unseen")
    corpus, model = work / "corpus", work / "run/model"
    rosella("corpus", "add", work / "worked/*.flac", "--language", "en", "--corpus", corpus)
    rosella("corpus", "run", "--corpus", corpus, "--max-seconds", 8, "--recogniser", "mini")
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    truth = {line["audio"]: [Turn.from_dict(turn) for turn in line["turns"]] for line in lines}
    done, accepted, rejected = correct(corpus, truth, minutes)
    human = ("--where", "transcript_source=human")
    rosella("asr", "prepare", corpus, *human, "--max-seconds", 10, "--out", work / "examples")
    rosella("asr", "prepare", unseen, "--max-seconds", 10, "--out", work / "judge")
    train(work / "examples", work / "run")
    title = f"{done:.1f} corrected minutes ({accepted} clips, {rejected} rejected)"
    return [
        result(name, judged(work / "judge", recogniser, work / f"scores {name}"))
        for name, recogniser in (("the embedded recogniser", "mini"), (title, model))
    ]


def train(examples: Path, run: Path) -> None:
    changes = ["model.new=null", "model.weights=mini", f"examples=[{examples}]", "batch_size=8"]
    changes += [f"optimizer.lr={RATE}", "optimizer.warmup=10", f"optimizer.decay={STEPS // 2}"]
    changes += [f"steps={STEPS}", "evaluate.every=80", "short_first=false"]
    rosella("asr", "train", ROOT / "recipes/asr-mini.yaml", *changes, "--run", run)


def result(name: str, scores: dict[str, float]) -> str:
    found = f"word errors {scores['wer']:.1%} of {scores['words']:.0f}, by speaker {scores['cpwer']:.1%}"
    return row(name, f"{found}, {scores['examples']:.0f} examples")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for line in measure(options.work or Path(scratch), options.minutes):
            print(line)


if __name__ == "__main__":
    main()
