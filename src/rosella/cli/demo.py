"""`rosella demo`: the whole road on the embedded family, each step by the verb that does it alone.

The podcast, the models and the recipe ship with the package. `mini/podcast/heldout/manifest.jsonl` lists
sentences that the podcast's voices say and no model was trained on, in the format of
`rosella.evaluate.sentences`; a model is scored on them before and after the fine-tuning.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella import memory
from rosella.cli.steps import Ledger, Step

if TYPE_CHECKING:
    from rosella.evaluate.speaking import Yardstick
    from rosella.report.facts import Story

STATE = "state.json"
UTTERANCE_SECONDS = 6.5
"""A sentence to three: utterances of several teach a small model to go on after one, those of one not to keep its voice."""


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("runs/demo"),
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps (default: the recipe's).")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Take the shipped podcast to a model that speaks; ends with a report. Run it again to resume."""
    memory.keep()  # in the training step alone it would come too late: speaking before has started the threads
    road = Road(out, steps, seed)
    road.prepare()
    ledger = Ledger(out / STATE)
    plan = road.plan(ledger)
    ledger.run(plan, print)
    print(f"\nThe report is {out / 'report.html'}: open it in a browser.")


@dataclass
class Road:
    """The demo's steps and where their results are."""

    out: Path
    training_steps: int | None
    seed: int

    def prepare(self) -> None:
        """Make the directory; refuse one with other things in it, since the demo deletes what is outdated."""
        from rosella.errors import UserError

        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / STATE).exists():
            raise UserError(
                f"{self.out} is not empty and holds no demo: choose another directory with --out."
            )
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot write {self.out} ({error.strerror}): choose another with --out."
            ) from error

    def plan(self, ledger: Ledger) -> list[Step]:
        """All steps in order."""
        work = [*self._corpus_steps(), self._before(), self._training(), self._after()]
        return [*work, self._report(work, ledger)]

    def _corpus_steps(self) -> list[Step]:
        from rosella.cli import corpus

        folder, podcast = self.out / "corpus", self.podcast / "manifest.jsonl"
        alone, about, known = self.podcast / "audio", self.about_audio, self.mini("known")
        options = [word for name, value in about.items() for word in (f"--{name}", value)]
        catalogue = [folder / "catalogue.sqlite"]
        cutting = ["--max-seconds", UTTERANCE_SECONDS, "--recogniser", "mini"]
        return [
            Step(
                "Add the podcast to a catalogue",
                command("corpus add", podcast, "--corpus", folder),
                lambda: corpus.add(str(podcast), folder),
                digest(self.podcast),
                catalogue,
                [folder],
            ),
            Step(
                "Add recordings without transcripts",
                command("corpus add", alone, "--corpus", folder, *options),
                lambda: corpus.add(str(alone), folder, **about),
                digest(alone),
                catalogue,
                [],
            ),
            Step(
                "Find who speaks, cut into utterances, write down what has no transcript, turn all into codes",
                command("corpus run", "--corpus", folder, *cutting),
                lambda: corpus.run(folder, max_seconds=UTTERANCE_SECONDS, recogniser="mini"),
                [digest(self.mini("codec")), digest(self.mini("recogniser")), UTTERANCE_SECONDS],
                catalogue,
                [],
            ),
            Step(
                "Write the shards that training reads; half of what it draws is what the model learned before",
                command("corpus export", "--corpus", folder, "--mix", known),
                lambda: corpus.export(folder, mix=known),
                digest(known),
                [folder / "export.json"],
                [],
            ),
        ]

    def _before(self) -> Step:
        parts = (self.mini("model"), self.mini("recogniser"), self.heldout.parent)
        inputs = [*map(digest, parts), self.seed]
        return self._evaluation(
            "Let the shipped model speak sentences it never saw", "mini", "before", inputs
        )

    def _after(self) -> Step:
        title = "Let the fine-tuned model speak the same sentences"
        return self._evaluation(title, str(self.out / "train" / "model"), "after", self.seed)

    def _evaluation(self, title: str, model: str, name: str, inputs: object) -> Step:
        from rosella.cli.evaluate import score, show

        folder = self.out / name

        def run() -> None:
            from rosella import speak

            show(score(model, speak.load(model), self.yardstick, folder, self.seed))

        options = ["--model", model, "--sentences", self.heldout, "--recogniser", "mini"]
        options += ["-o", folder, "--seed", self.seed, "--seeds", 1]
        return Step(title, command("evaluate", *options), run, inputs, [folder / "scores.json"], [folder])

    def _training(self) -> Step:
        from rosella.cli.train import train
        from rosella.devices import multiplies_bfloat16
        from rosella.recipes import load_recipe
        from rosella.training.recipe import Recipe

        recipe, folder = self.mini("demo.yaml"), self.out / "train"
        overrides = [f"data.export={self.out / 'corpus'}", f"seed={self.seed}"]
        if not multiplies_bfloat16():
            overrides.append("compute_dtype=float32")
        if self.training_steps:
            warmup = min(load_recipe(Recipe, recipe).optimizer.warmup, self.training_steps)
            overrides += [f"steps={self.training_steps}", f"optimizer.warmup={warmup}"]
        return Step(
            "Fine-tune it on the podcast",
            command("train", recipe, *overrides, "--run", folder),
            lambda: train(recipe, overrides, folder),
            [digest(recipe), overrides],
            [folder / "model"],
            [folder],
        )

    def _report(self, work: Sequence[Step], ledger: Ledger) -> Step:
        path = self.out / "report.html"

        def run() -> None:
            from rosella.report.speech import write_page

            write_page(self._story(ledger.times(work)), path)

        return Step("Draw the report", command("demo", "--out", self.out), run, None, [path], [path])

    def _story(self, times: Sequence[tuple[Step, float]]) -> Story:
        from rosella.evaluate.speaking import load_evaluation
        from rosella.report.facts import StepFacts, Story, corpus_facts, training_facts

        return Story(
            self.yardstick,
            load_evaluation(self.out / "after"),
            load_evaluation(self.out / "before"),
            corpus_facts(self.out / "corpus", self.podcast / "said.jsonl"),
            training_facts(self.out / "train" / "metrics.jsonl"),
            [StepFacts(step.title, step.command, seconds) for step, seconds in times],
            self._next_steps(),
            about="A model of English and Dutch was given a podcast in German, and as much of those two lest it forget.",
        )

    def _next_steps(self) -> list[tuple[str, str]]:
        from rosella.evaluate.sentences import read_sentences

        model, text = self.out / "train" / "model", read_sentences(self.heldout)[0].text
        return [
            ("Say something with the model you just trained.", _speak(text, model, "said.wav")),
            ("Train longer.", command("demo", "--out", "runs/longer", "--steps", 2000)),
            (
                "Bring your own recordings and transcripts.",
                command("corpus add", "my/manifest.jsonl", "--corpus", "my"),
            ),
            (
                "Use the production model and codec; only the names differ.",
                _speak("[S1] Hello there. [S2] Hi!", "nari-labs/Dia-1.6B-0626", "big.wav"),
            ),
        ]

    @cached_property
    def yardstick(self) -> Yardstick:
        from rosella.codec import load_codec
        from rosella.evaluate.reading import reader
        from rosella.evaluate.sentences import read_sentences
        from rosella.evaluate.speaking import measure_references

        return measure_references(read_sentences(self.heldout), load_codec("mini"), reader("mini"), "mini")

    @cached_property
    def about_audio(self) -> dict[str, str]:
        """What holds of the recordings that come as audio alone."""
        with (self.podcast / "said.jsonl").open(encoding="utf-8") as lines:
            facts = json.loads(next(lines))
        return {name: facts[name] for name in ("language", "licence", "consent")}

    @property
    def podcast(self) -> Path:
        return self.mini("podcast")

    @property
    def heldout(self) -> Path:
        return self.podcast / "heldout" / "manifest.jsonl"

    @staticmethod
    def mini(name: str) -> Path:
        from rosella import mini

        return mini.path(name)


def command(verb: str, *arguments: object) -> str:
    """A command line to copy; paths below the working directory are relative to it."""
    return shlex.join(["rosella", *verb.split(), *(_shown(argument) for argument in arguments)])


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(f"{file.relative_to(path)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


def _shown(argument: object) -> str:
    if isinstance(argument, Path) and argument.is_relative_to(Path.cwd()):
        return str(argument.relative_to(Path.cwd()))
    return str(argument)


def _speak(text: str, model: object, output: str) -> str:
    return command("speak", text, "--model", model, "-o", output)
