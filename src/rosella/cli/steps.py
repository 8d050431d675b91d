"""Steps that remember that they were done, so that a long command can be interrupted and run again.

A step is done when its outputs exist and were made from the inputs it has now. Otherwise it runs: from where
it stopped, if it was interrupted with these inputs; from nothing, if its inputs or those of a step before it
changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosella.files import write_json


@dataclass(frozen=True)
class Step:
    """`inputs` is JSON; `outputs` must exist afterwards; `owns` is deleted when the inputs changed."""

    title: str
    command: str
    run: Callable[[], None]
    inputs: Any
    outputs: Sequence[Path]
    owns: Sequence[Path]


class Ledger:
    """What is known of the steps, in a JSON file: by title the key, the seconds, whether it is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, dict[str, Any]] = _read(path)

    def run(self, steps: Sequence[Step], say: Callable[[str], None]) -> None:
        """Run what is not done, in order; `say` gets a line for people before and after each."""
        key = ""
        for number, step in enumerate(steps, 1):
            key = hashlib.sha256(json.dumps([key, step.title, step.inputs]).encode()).hexdigest()[:16]
            say(f"\n[{number}/{len(steps)}] {step.title}\n      {step.command}")
            if self._is_done(step, key):
                say("      already done")
            else:
                self._run(step, key)
                say(f"      done in {self.entries[step.title]['seconds']:.0f} s")

    def times(self, steps: Sequence[Step]) -> list[tuple[Step, float]]:
        """The steps that are done, with the seconds they took."""
        done = [step for step in steps if self.entries.get(step.title, {}).get("done")]
        return [(step, self.entries[step.title]["seconds"]) for step in done]

    def _is_done(self, step: Step, key: str) -> bool:
        entry = self.entries.get(step.title, {})
        return entry.get("key") == key and entry["done"] and all(output.exists() for output in step.outputs)

    def _run(self, step: Step, key: str) -> None:
        entry = self.entries.get(step.title)
        if entry is None or entry["key"] != key:
            _delete(step.owns)
            entry = self.entries[step.title] = {"key": key, "seconds": 0.0}
        entry["done"] = False
        self._write()
        start = time.perf_counter()
        try:
            step.run()
            entry["done"] = True
        finally:
            entry["seconds"] += time.perf_counter() - start
            self._write()

    def _write(self) -> None:
        write_json(self.path, self.entries, indent=1)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """An unreadable ledger counts as none: all is done again."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
