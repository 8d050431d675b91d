"""`make mini`: rebuild the embedded family with Rosella's own commands. Every step is skipped when its result exists.

usage: python tools/mini/build.py [--work build/mini] [--hours 60] [STEP ...]
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
KNOWN_HOURS, KNOWN_EXCHANGES = 0.8, 24  # of what is mixed into a new language; exchanges of a recording
RECIPES = REPOSITORY / "recipes"


def rosella(*words: object) -> None:
    """Run a command as a user would; stops the build when it fails."""
    print("$ rosella", *words, flush=True)
    subprocess.run([sys.executable, "-m", "rosella", *map(str, words)], check=True)


def codec_speech(work: Path, hours: float) -> None:
    """Clips to train the codec on, and unseen sentences of unseen voices to judge it by."""
    espeak = Espeak()
    for name, voices, clips, heard, seed in (
        ("train", speech.CODEC_VOICES, 12, True, 0),
        ("heldout", speech.UNHEARD_VOICES, 17, False, 1),
    ):
        folder = work / "codec-speech" / name
        folder.mkdir(parents=True, exist_ok=True)
        for index, wave in enumerate(speech.codec_clips(espeak, voices, clips, heard, seed)):
            audio.write(folder / f"{index:05d}.flac", wave, speech.SAMPLE_RATE)


def codec(work: Path, hours: float) -> None:
    rosella("codec", "train", work / "codec-speech/train", "--out", work / "codec")


def dialogue(work: Path, hours: float) -> None:
    """Recordings for the speaking model: first lessons of single sentences, then conversations."""
    espeak = Espeak()
    speech.speaking_recordings(espeak, hours / 8, work / "lessons", speech.short_sentence)
    speech.speaking_recordings(espeak, hours, work / "conversations", speech.conversation)


def corpus(work: Path, hours: float) -> None:
    for name in ("lessons", "conversations"):
        where = ("--corpus", work / f"{name}-corpus")
        rosella("corpus", "add", work / name / "manifest.jsonl", *where)
        rosella("corpus", "run", *where, "--codec", work / "codec", "--max-seconds", 12)
        rosella("corpus", "export", *where)


def model(work: Path, hours: float) -> None:
    """Each recipe goes on from the model of the one before."""
    start: tuple[str, ...] = ()
    for name in ("mini-1-lessons", "mini-2-conversations", "mini-blocks"):
        part = "lessons" if name == "mini-1-lessons" else "conversations"
        data = (f"data.export={work / f'{part}-corpus'}", f"codec={work / 'codec'}")
        rosella("train", RECIPES / f"{name}.yaml", *data, *start, "--run", work / name)
        start = (f"model.weights={work / name / 'model'}",)


def dictation(work: Path, hours: float) -> None:
    """Dialogue with fillers, stutters and laughter for the recogniser, part of it through the codec."""
    tool = REPOSITORY / "tools/mini/recogniser.py"
    subprocess.run([sys.executable, tool, work / "asr", "--codec", work / "codec"], check=True)


def recogniser(work: Path, hours: float) -> None:
    examples = f"examples=[{work / 'asr/train'}]"
    rosella("asr", "train", RECIPES / "asr-mini.yaml", examples, "--run", work / "asr-run")


def install(work: Path, hours: float) -> None:
    """Put the family into the package: weights in half precision, which of their heads read along, the recordings."""
    from dataclasses import replace

    import torch

    from rosella.asr.recogniser import Recogniser
    from rosella.codec.mel import MelNetwork
    from rosella.weights import load_model, save_model

    MelNetwork.load(work / "codec").save(FAMILY / "codec", half_vocoder=True)
    weights, config = load_model(work / "mini-blocks/model")
    shutil.rmtree(FAMILY / "model", ignore_errors=True)
    save_model(
        FAMILY / "model",
        weights,
        replace(config, codec="mini"),
        dtype="float16",
    )
    unheard = next(each for each in judge.build(Espeak(), work / "judge") if each.parent.name == "unheard")
    rosella("steady", FAMILY / "model", "--sentences", unheard)
    shutil.rmtree(FAMILY / "recogniser", ignore_errors=True)
    Recogniser.load(work / "asr-run/model", "cpu", torch.float16).save(FAMILY / "recogniser")
    shutil.rmtree(FAMILY / "podcast", ignore_errors=True)
    podcast.build(Espeak(), FAMILY / "podcast")
    _known(work)


def _known(work: Path) -> None:
    """An export of what is like that from which the model learned, to mix into a new language."""
    made, where = work / "known", ("--corpus", work / "known-corpus")
    speech.speaking_recordings(Espeak(), KNOWN_HOURS, made, speech.conversation, KNOWN_EXCHANGES)
    rosella("corpus", "add", made / "manifest.jsonl", *where)
    rosella("corpus", "run", *where, "--max-seconds", 12)
    rosella("corpus", "export", *where)
    shutil.rmtree(FAMILY / "known", ignore_errors=True)
    shutil.copytree(where[1], FAMILY / "known", ignore=shutil.ignore_patterns("cache", "catalogue*"))


def score(work: Path, hours: float) -> None:
    """Print what docs/mini.md reports."""
    rosella("codec", "evaluate", work / "codec-speech/heldout")
    for transcript in ("verbatim", "clean"):
        words = ("--model", "mini", "--transcript", transcript, "--out", work / "scores" / transcript)
        rosella("asr", "evaluate", work / "asr/test", *words)
    for manifest in sorted((work / "judge").glob("*/manifest.jsonl")):
        rosella(
            "evaluate",
            "--model",
            "mini",
            "--recogniser",
            "mini",
            "--sentences",
            manifest,
            "-o",
            work / "scores" / manifest.parent.name,
        )


ROAD = (codec_speech, codec, dialogue, corpus, model, dictation, recogniser, install, score)
STEPS = {step.__name__: step for step in ROAD}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"which of {', '.join(STEPS)} (default: all)"
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build/mini")
    parser.add_argument("--hours", type=float, default=60.0, help="recordings for the speaking model")
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
