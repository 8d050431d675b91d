"""The examples directory: what `asr prepare` writes and `asr train` and `asr evaluate` read.

examples.jsonl   one `Example` a line; audio is a span of a file that stays where it is
report.json      rules applied, counts, rejects with their reasons; `report.md` is the same for people
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from rosella.errors import UserError
from rosella.files import replacing, write_json

EXAMPLES = "examples.jsonl"
REPORT = "report.json"

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Example:
    """A span of a recording (`start` to `end`, seconds) and what is said in it.

    `text` is verbatim with speaker tags (see `rosella.dialogue`), `text_clean` the same without disfluencies or None;
    `speakers` are the source's own names in the order of their tags. `split` is chosen by recording.
    """

    id: str
    audio: Path
    start: float
    end: float
    text: str
    text_clean: str | None
    speakers: tuple[str, ...]
    language: str | None
    split: Split

    @property
    def seconds(self) -> float:
        return round(self.end - self.start, 3)  # spans are whole milliseconds


def read_examples(directory: str | Path, split: Split | None = None) -> list[Example]:
    """The examples of a directory, or of one `split`, in file order; audio paths are made absolute.

    Raises UserError that names the line for a directory that was not prepared, or is damaged.
    """
    path = Path(directory) / EXAMPLES
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: make it with `rosella asr prepare SOURCE --out {directory}`."
        )
    base = path.parent.resolve()
    with path.open(encoding="utf-8") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    examples = [_parsed(line, base, f"{path}, line {number}") for number, line in lines]
    return [example for example in examples if split is None or example.split == split]


def write_examples(directory: str | Path, examples: Iterable[Example], report: dict[str, Any]) -> None:
    """Write `examples.jsonl`, whole or not at all, and `report.json`.

    Audio inside the directory is named relative to it, so that the two can move together.
    """
    directory = Path(directory).resolve()
    with replacing(directory / EXAMPLES) as temporary, temporary.open("w", encoding="utf-8") as file:
        for example in examples:
            values = asdict(replace(example, audio=_named(example.audio, directory)))
            file.write(json.dumps({**values, "audio": str(values["audio"])}, ensure_ascii=False) + "\n")
    write_json(directory / REPORT, report)


def _named(audio: Path, directory: Path) -> Path:
    absolute = audio.absolute()
    return absolute.relative_to(directory) if absolute.is_relative_to(directory) else absolute


def _parsed(line: str, base: Path, where: str) -> Example:
    try:
        values = json.loads(line)
        example = Example(**{field.name: values[field.name] for field in fields(Example)})
        example = replace(example, audio=base / example.audio, speakers=tuple(example.speakers))
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{where} is no example ({error!r}): prepare the directory again.") from None
    return _checked(example, where)


def _checked(example: Example, where: str) -> Example:
    if example.split not in SPLITS:
        raise UserError(f"{where}: the split {example.split!r} is unknown; use one of {', '.join(SPLITS)}.")
    if not (0 <= example.start < example.end < math.inf):
        raise UserError(f"{where}: the span {example.start} to {example.end} s holds no audio; correct it.")
    return example
