"""Label Studio's JSON: a task for each recording, a region for each turn, labelled with its speaker, with texts of its own.

A clip is a region labelled in `clip`, with `verdict`, `reason` and `comment`. `CONFIGURATION` is the labelling interface
that goes with it. Format: labelstud.io, "Label Studio Task Format" and the templates of audio.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rosella.annotate.exchange.sheet import Line, Mark, Note, Sheet, folded, milliseconds
from rosella.audio import is_url
from rosella.corpus.sources.lines import parse_json
from rosella.errors import UserError

SUFFIX = ".json"
CONFIGURATION = "label-studio.xml"

_TEXTS = ("transcription", "clean", "reason", "comment")
_VERDICTS = ("accepted", "rejected", "second")


def seen(line: Line) -> Line | None:
    """A line as a file says it, which is all of it."""
    return line


def configuration(speakers: Iterable[str]) -> str:
    """The labelling interface for tasks in which these speak."""
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in speakers)
    choices = "".join(f'<Choice value="{name}"/>' for name in _VERDICTS)
    areas = "\n".join(
        f'  <TextArea name="{name}" toName="audio" perRegion="true" editable="true" maxSubmissions="1" '
        f'placeholder="{name}" whenTagName="{"speaker" if name in _TEXTS[:2] else "clip"}"/>'
        for name in _TEXTS
    )
    return (
        f'<View>\n  <Labels name="speaker" toName="audio">\n{labels}\n  </Labels>\n'
        '  <Labels name="clip" toName="audio"><Label value="clip"/></Labels>\n'
        f'  <Audio name="audio" value="$audio"/>\n{areas}\n'
        f'  <Choices name="verdict" toName="audio" perRegion="true" whenTagName="clip">{choices}</Choices>\n</View>\n'
    )


def write(sheet: Sheet) -> str:
    """A list of one task, annotated; of its media the second is the audio's absolute path or URL."""
    place = sheet.media[1]
    audio = place if is_url(place) else f"/data/local-files/?d={quote(place.lstrip('/'))}"
    results = [*_turns(sheet), *_clips(sheet)]
    task = {"data": {"audio": audio, "rosella": str(sheet.mark or "")}, "annotations": [{"result": results}]}
    return json.dumps([task], ensure_ascii=False, indent=1) + "\n"


def _turns(sheet: Sheet) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(sheet.lines, 1):
        texts = {"transcription": line.text, "clean": line.clean}
        yield from _region(f"turn-{number}", line, sheet, "speaker", line.speaker or "", texts)


def _clips(sheet: Sheet) -> Iterator[dict[str, Any]]:
    clips = zip(sheet.verdicts or (), sheet.comments or (), strict=True)
    for number, (verdict, comment) in enumerate(clips, 1):
        name, _, reason = verdict.text.partition(": ")
        texts = {"reason": reason, "comment": comment.text}
        yield from _region(f"clip-{number}", verdict, sheet, "clip", "clip", texts)
        if name:
            yield _result(f"clip-{number}", verdict, sheet, "verdict", "choices", [name])


def _region(
    name: str, span: Line | Note, sheet: Sheet, control: str, label: str, texts: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    yield _result(name, span, sheet, control, "labels", [label])
    for key, text in texts.items():
        if text:
            yield _result(name, span, sheet, key, "textarea", [text])


def _result(
    name: str, span: Line | Note, sheet: Sheet, control: str, kind: str, said: list[str]
) -> dict[str, Any]:
    value = {"start": span.start / 1000, "end": span.end / 1000, "channel": 0}
    return {
        "id": name,
        "from_name": control,
        "to_name": "audio",
        "type": kind,
        "origin": "manual",
        "original_length": sheet.duration / 1000,
        "value": {**value, "text" if kind == "textarea" else kind: said},
    }


class _Value(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    start: float | None = Field(default=None, ge=0)
    end: float | None = None
    labels: list[str] = []
    choices: list[str] = []
    text: list[str] | str = []


class _Result(BaseModel):
    id: str | int = ""
    from_name: str = ""
    type: str = ""
    value: _Value = Field(default_factory=_Value)


class _Annotation(BaseModel):
    result: list[_Result] = []
    was_cancelled: bool | None = False
    updated_at: str | None = None


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation] = []


@dataclass(frozen=True)
class _Region:
    """A span and what was said of it, by the name of the control."""

    start: int
    end: int
    said: Mapping[str, str]

    @property
    def is_clip(self) -> bool:
        return "clip" in self.said

    def note(self, text: str) -> Note:
        return Note(self.start, self.end, text)


def read(path: Path, speakers: Callable[[Sheet], Collection[str]]) -> list[Sheet]:
    """The recordings of an exported project ("JSON"), or of one task. Of several annotations of a task the latest counts."""
    try:
        content = parse_json(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError("it is not UTF-8 text: export the project as JSON again") from None
    tasks = content if isinstance(content, list) else [content]
    sheets = [_sheet(_task(number, task)) for number, task in enumerate(tasks, 1)]
    annotated = [sheet for sheet in sheets if sheet is not None]
    if not annotated:
        raise UserError("it holds no annotated tasks: label them, and export the project as JSON")
    return annotated


def _task(number: int, values: Any) -> _Task:
    try:
        return _Task.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "it"
        raise UserError(
            f"task {number} is not as Label Studio exports it ({key}: {first['msg'].lower()}): export the project as JSON"
        ) from None


def _sheet(task: _Task) -> Sheet | None:
    kept = [annotation for annotation in task.annotations if not annotation.was_cancelled]
    if not kept:
        return None
    regions = list(_regions(max(kept, key=lambda annotation: annotation.updated_at or "").result))
    clips = [region for region in regions if region.is_clip]
    mark = Mark.found(str(task.data.get("rosella", "")))
    return Sheet(
        media=tuple(value for value in task.data.values() if isinstance(value, str)),
        lines=tuple(_line(region) for region in regions if not region.is_clip),
        verdicts=tuple(region.note(_verdict(region)) for region in clips) if clips else None,
        comments=tuple(region.note(region.said.get("comment", "")) for region in clips) if clips else None,
        has_clean=mark is not None or any("clean" in region.said for region in regions),
        mark=mark,
    )


def _regions(results: Iterable[_Result]) -> Iterator[_Region]:
    """The regions in their order; what lies on no span, such as a text about the whole recording, is none."""
    groups: dict[str, list[_Result]] = {}
    for result in results:
        groups.setdefault(str(result.id), []).append(result)
    for group in groups.values():
        said = {_subject(result): folded(_text(result.value)) for result in group}
        spans = [(r.value.start, r.value.end) for r in group if r.type in ("labels", "textarea", "choices")]
        for start, end in spans[:1]:
            if start is not None and end is not None:
                yield _Region(milliseconds(start), milliseconds(end), said)


def _subject(result: _Result) -> str:
    """What a result is about: the control's name where it is one of ours, else the kind that others name as they like."""
    if result.from_name in ("clip", "verdict", *_TEXTS):
        return result.from_name
    return {"labels": "speaker", "textarea": "transcription"}.get(result.type, "")


def _text(value: _Value) -> str:
    text = [value.text] if isinstance(value.text, str) else value.text
    return " ".join([*value.labels, *value.choices, *text])


def _line(region: _Region) -> Line:
    said = region.said
    speaker, text = said.get("speaker") or None, said.get("transcription", "")
    return Line(region.start, region.end, speaker, text, said.get("clean", ""))


def _verdict(region: _Region) -> str:
    verdict, reason = region.said.get("verdict", ""), region.said.get("reason", "")
    return f"{verdict}: {reason}" if verdict == "rejected" and reason else verdict
