"""What a preparation did: `report.json` for programs, `report.md` for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rosella import dialogue
from rosella.asr.examples import SPLITS, Example
from rosella.asr.prepare.notation import Notation, Tally
from rosella.corpus.disfluencies import events
from rosella.corpus.steps.segment import Cutting
from rosella.records import Reject

MARKDOWN = "report.md"


@dataclass
class Log:
    """What happened on the way: rules applied, spans rejected, recordings that could not be used."""

    applied: Tally = field(default_factory=Counter)
    rejects: list[tuple[str, Reject]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def rules(notation: Notation, cutting: Cutting, clean: bool) -> list[str]:
    """The rules in words, in the order in which they are applied."""
    codes = [f"`{code}` → `{new}`" if new else f"`{code}` dropped" for code, new in notation.codes.items()]
    words = [f"`{word}` → `{event}`" for word, event in notation.words.items()]
    labels = [f"{name} → {event or 'left out'}" for name, event in notation.labels.items()]
    said = [
        f"Tiers that are no speech: {', '.join(notation.ignored_tiers) or 'none'}.",
        f"Codes of words: {', '.join([*words, *codes]) or 'none'}. A word with another `*` code is a reject.",
        f"A turn with an unintelligible word ({', '.join(notation.unintelligible)}) is a reject: its audio goes too.",
        f"Events: {' '.join(notation.events)}. Other labels in brackets: {', '.join(labels) or 'none'}. "
        "A turn with any other bracket is a reject.",
        f"Examples begin and end where nobody speaks, last at most {cutting.max_seconds:g} s, hold pauses of at most "
        f"{cutting.max_gap:g} s and at most {len(dialogue.TAGS)} speakers, and keep up to "
        f"{cutting.margin:g} s of audio on both sides.",
        "Overlapping turns stand in the order of their beginnings and stay together.",
        "Speaker tags restart in every example, in order of appearance.",
        "Splits are by recording: the hash of its name decides.",
    ]
    return [*said, _clean_rule(clean)]


def _clean_rule(clean: bool) -> str:
    if not clean:
        return "Clean transcripts: only those of the source."
    return (
        "Clean transcripts: those of the source; where it has none, the verbatim one without events, fillers "
        "and restarts."
    )


def report(
    source: str, format: str, said: list[str], recordings: int, examples: Sequence[Example], log: Log
) -> dict[str, Any]:
    """Rules, counts and rejects as plain values; times in seconds, durations in hours."""
    reasons: dict[str, dict[str, float]] = {}
    for _, reject in log.rejects:
        reason = reasons.setdefault(reject.reason, {"spans": 0, "hours": 0.0})
        reason["spans"] += 1
        reason["hours"] = round(reason["hours"] + (reject.end - reject.start) / 3600, 6)
    return {
        "source": source,
        "format": format,
        "rules": said,
        "applied": dict(sorted(log.applied.items())),
        "recordings": {"found": recordings, "used": recordings - len(log.failed), "failed": len(log.failed)},
        "splits": {split: _counts([e for e in examples if e.split == split]) for split in SPLITS},
        "languages": {
            str(language): _counts([e for e in examples if e.language == language])
            for language in sorted({e.language for e in examples}, key=str)
        },
        "events": dict(Counter(event for e in examples for event in events(e.text)).most_common()),
        "reject_reasons": dict(sorted(reasons.items(), key=lambda item: -item[1]["hours"])),
        "rejects": [{"recording": name, **vars(reject)} for name, reject in log.rejects],
        "failed": [{"recording": name, "reason": reason} for name, reason in log.failed],
    }


def _counts(examples: Sequence[Example]) -> dict[str, float]:
    return {
        "examples": len(examples),
        "hours": round(sum(e.seconds for e in examples) / 3600, 6),
        "words": sum(len(e.text.split()) - len(dialogue.speaker_tags(e.text)) for e in examples),
        "speakers": len({speaker for e in examples for speaker in e.speakers}),
        "recordings": len({e.audio for e in examples}),
        "dialogues": sum(len(e.speakers) > 1 for e in examples),
        "clean": sum(e.text_clean is not None for e in examples),
    }


def markdown(values: dict[str, Any]) -> str:
    """The report as a page to read."""
    found = values["recordings"]
    failures = [f"{one['recording']}: {one['reason']}" for one in values["failed"]]
    parts = [
        f"# Examples from {values['source']}\n",
        f"{values['format']}: {found['found']} recordings, {found['used']} used, {found['failed']} failed.\n",
        "## Counts\n",
        _table("split", values["splits"]),
        _table("language", values["languages"]),
        _list("## Rules", values["rules"]),
        _list("## Applied", [f"{rule}: {count}" for rule, count in values["applied"].items()]),
        _list("## Events", [f"{event}: {count}" for event, count in values["events"].items()]),
        "## Rejects\n",
        _table("reason", values["reject_reasons"]),
        _list("## Failed recordings", failures),
    ]
    return "\n".join(parts)


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "", *(f"- {line}" for line in lines or ["none"]), ""])


def _table(title: str, rows: dict[str, dict[str, float]]) -> str:
    if not rows:
        return "none\n"
    columns = list(next(iter(rows.values())))
    lines = [f"| {' | '.join([title, *columns])} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {' | '.join([name, *(_shown(row[column]) for column in columns)])} |")
    return "\n".join([*lines, ""])


def _shown(number: float) -> str:
    return f"{number:.2f}" if isinstance(number, float) else str(number)
