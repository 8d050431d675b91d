"""`make mini`: rebuild the embedded family with Rosella's own commands. Every step is skipped when its result exists.

usage: python tools/mini/build.py [--work build/mini] [--hours 2.2] [STEP ...]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mini import judge, podcast, speech
from mini.espeak import Espeak
from rosella import audio

REPOSITORY = Path(__file__).parents[2]
FAMILY = REPOSITORY / "src/rosella/mini"
RECIPES = REPOSITORY / "recipes"


def rosella(*words: object) -> None:
    """Run a command as a user would; stops the build when it fails."""
    print("$ rosella", *words, flush=True)
    subprocess.run([sys.executable, "-m", "rosella", *map(str, words)], check=True)


def codec_speech(work: Path, hours: float) -> None:
    """Clips to train the codec on, and unseen sentences of unseen voices to judge it by."""
    espeak = Espeak()
    for name, voices, clips, heard, seed in (
        ("train", speech.CODEC_VOICES, 16, True, 0),
        ("heldout", speech.UNHEARD_VOICES, 17, False, 1),
    ):
        folder = work / "codec-speech" / name
        folder.mkdir(parents=True, exist_ok=True)
        for index, wave in enumerate(speech.codec_clips(espeak, voices, clips, heard, seed)):
            audio.write(folder / f"{index:05d}.flac", wave, speech.SAMPLE_RATE)


def codec(work: Path, hours: float) -> None:
    rosella("codec", "train", work / "codec-speech/train", "--out", work / "codec")


def dialogue(work: Path, hours: float) -> None:
    speech.speaking_recordings(Espeak(), hours, work / "dialogue")


def corpus(work: Path, hours: float) -> None:
    where = ("--corpus", work / "corpus")
    rosella("corpus", "add", work / "dialogue/manifest.jsonl", *where)
    rosella("corpus", "run", *where, "--codec", work / "codec", "--max-seconds", 10)
    rosella("corpus", "export", *where)


def model(work: Path, hours: float) -> None:
    data = (f"data.export={work / 'corpus'}", f"codec={work / 'codec'}")
    rosella("train", RECIPES / "mini.yaml", *data, "--run", work / "run")
    start = f"model.weights={work / 'run/model'}"
    rosella("train", RECIPES / "mini-finish.yaml", *data, start, "--run", work / "finish")


def install(work: Path, hours: float) -> None:
    """Put the family into the package: weights in half precision, the podcast as Opus."""
    from dataclasses import replace

    from rosella.codec.mel import MelNetwork
    from rosella.convert.checkpoint import load_model, save_model

    MelNetwork.load(work / "codec").save(FAMILY / "codec", half_vocoder=True)
    weights, config = load_model(work / "finish/model")
    shutil.rmtree(FAMILY / "model", ignore_errors=True)
    save_model(
        FAMILY / "model",
        weights,
        replace(config, codec="mini", guidance=1.0, temperature=0.0),
        dtype="float16",
    )
    shutil.rmtree(FAMILY / "podcast", ignore_errors=True)
    podcast.build(Espeak(), FAMILY / "podcast")


def score(work: Path, hours: float) -> None:
    """Print what docs/mini.md reports."""
    rosella("codec", "evaluate", work / "codec-speech/heldout")
    for manifest in judge.build(Espeak(), work / "judge"):
        rosella(
            "evaluate",
            "--model",
            "mini",
            "--sentences",
            manifest,
            "-o",
            work / "scores" / manifest.parent.name,
        )


STEPS = {step.__name__: step for step in (codec_speech, codec, dialogue, corpus, model, install, score)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"which of {', '.join(STEPS)} (default: all)"
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build/mini")
    parser.add_argument("--hours", type=float, default=2.2, help="recordings for the speaking model")
    options = parser.parse_args()
    for name in options.steps or STEPS:
        done = options.work / f"{name}.done"
        if done.exists() and not options.steps:
            print(f"{name}: already done")
            continue
        print(f"{name}: {STEPS[name].__doc__ or ''}".strip(), flush=True)
        options.work.mkdir(parents=True, exist_ok=True)
        STEPS[name](options.work, options.hours)
        done.touch()


if __name__ == "__main__":
    main()
