from __future__ import annotations

import json
from pathlib import Path

import pytest

from rosella.cli.steps import Ledger, Step


class Workshop:
    """Two steps, each of which copies its input to a file; `calls` says what really ran."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls, self.fail = folder, [], False

    def steps(self, first: str = "a", second: str = "b") -> list[Step]:
        return [self._step("first", first), self._step("second", second)]

    def run(self, **inputs: str) -> list[str]:
        self.calls.clear()
        Ledger(self.folder / "state.json").run(self.steps(**inputs), lambda line: None)
        return list(self.calls)

    def _step(self, name: str, value: str) -> Step:
        output = self.folder / name

        def work() -> None:
            self.calls.append(name if output.exists() else f"{name} from nothing")
            output.write_text(value)
            if self.fail and name == "second":
                raise KeyboardInterrupt

        return Step(name, f"make {name}", work, value, [output], [output])


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_second_run_does_nothing(workshop: Workshop) -> None:
    assert workshop.run() == ["first from nothing", "second from nothing"]
    assert workshop.run() == []


def test_changed_inputs_redo_the_step_and_all_after_it_from_nothing(workshop: Workshop) -> None:
    workshop.run()
    assert workshop.run(second="c") == ["second from nothing"]
    assert workshop.run(first="c", second="c") == ["first from nothing", "second from nothing"]


def test_a_missing_output_redoes_the_step(workshop: Workshop) -> None:
    workshop.run()
    (workshop.folder / "first").unlink()
    assert workshop.run() == ["first from nothing"]


def test_an_interrupted_step_goes_on_from_what_it_left(workshop: Workshop) -> None:
    workshop.fail = True
    with pytest.raises(KeyboardInterrupt):
        workshop.run()
    workshop.fail = False
    assert workshop.run() == ["second"]


def test_times_are_the_seconds_of_what_is_done(workshop: Workshop) -> None:
    workshop.fail = True
    with pytest.raises(KeyboardInterrupt):
        workshop.run()
    ((step, seconds),) = Ledger(workshop.folder / "state.json").times(workshop.steps())
    assert (step.title, step.command) == ("first", "make first")
    assert seconds >= 0


def test_an_unreadable_ledger_counts_as_none(workshop: Workshop) -> None:
    workshop.run()
    (workshop.folder / "state.json").write_text("{")
    assert workshop.run() == ["first from nothing", "second from nothing"]
    json.loads((workshop.folder / "state.json").read_text())
