"""Whether two homes of a model are the same model: every stage compared, and the greedy ids.

A complete Transformers folder runs in Transformers, anything else in JAX by Rosella; of two Transformers folders
the first runs in Rosella, since a home is compared with ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.parity import trace
from rosella.parity.rosella_trace import trace_model
from rosella.parity.trace import Case, Greedy, Inputs, Say, Trace
from rosella.parity.transformers_trace import has_tokenizer, trace_folder
from rosella.progress import Progress, unheard
from rosella.weights import load_model, open_home
from rosella.weights.names import Kind

BOUND, LARGE_BOUND, LARGE_WIDTH = 1e-5, 1e-4, 1024
TIE = 10.0  # a choice whose margin is below so many times the logits' error may go either way


class Side(NamedTuple):
    """One of the two homes: by name, where it lies, and whether Transformers runs it; otherwise Rosella does."""

    name: str
    path: Path
    config: DiaConfig
    by_transformers: bool

    def __str__(self) -> str:
        return f"{self.name} ({'Transformers' if self.by_transformers else 'Rosella'})"

    def run(self, inputs: Inputs, dtype: str, say: Say) -> Trace:
        if self.by_transformers:
            return trace_folder(self.path, inputs, dtype, say)
        return trace_model(load_model(self.path)[0], inputs, dtype, say)


@dataclass(frozen=True)
class Row:
    """A stage: its relative error (of ids, the share that differ), the bound, and a remark."""

    stage: str
    error: float
    bound: float | None
    remark: str = ""

    @property
    def broken(self) -> bool:
        return self.bound is not None and not self.error <= self.bound


@dataclass(frozen=True)
class Parity:
    """The two homes, and who ran them, above the table in the order of computation."""

    homes: tuple[str, str]
    rows: list[Row]

    @property
    def divergence(self) -> Row | None:
        """The first row whose bound is broken."""
        return next((row for row in self.rows if row.broken), None)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`; an error that is no number reads null."""
        first = self.divergence
        rows = [
            {
                "stage": row.stage,
                "error": row.error if np.isfinite(row.error) else None,
                "bound": row.bound,
                "broken": row.broken,
                "remark": row.remark,
            }
            for row in self.rows
        ]
        return {
            "homes": list(self.homes),
            "same": first is None,
            "divergence": first and first.stage,
            "rows": rows,
        }


def compare(
    a: str | Path,
    b: str | Path,
    frames: int | None = None,
    dtype: str = "float32",
    progress: Progress = unheard,
) -> Parity:
    """Runs both homes, one after the other, on the same inputs; `frames` as in `trace.make_inputs`.

    `dtype` is the compute type; only float32 has bounds. `progress` hears how many of 2 x `trace.PARTS` are
    done, and which home is at what. UserError for homes that cannot be read, or whose sizes differ.
    """
    first, second = _side(a), _side(b)
    if second.by_transformers:
        first = first._replace(by_transformers=False)
    _check_sizes(first.config, second.config)
    inputs = trace.make_inputs(first.config, frames)
    # One after the other, so that one model is in memory at a time.
    traces = [
        side.run(inputs, dtype, _saying(progress, number, side, inputs))
        for number, side in enumerate((first, second))
    ]
    progress(2 * len(trace.PARTS))
    return Parity(
        (str(first), str(second)), compare_traces(traces[0], traces[1], _bound(first.config, dtype))
    )


def compare_traces(a: Trace, b: Trace, bound: float | None) -> list[Row]:
    """A row for each stage, then for each greedy case."""
    rows = [_compare_stage(stage, a.stages[stage], b.stages[stage], bound) for stage in a.stages]
    logits = next(row for row in rows if row.stage == trace.LOGITS)
    tie = 0.0  # logits that may differ by anything would excuse any choice
    if bound is not None and not logits.broken:
        pairs = zip(a.stages[trace.LOGITS], b.stages[trace.LOGITS], strict=True)
        tie = TIE * max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    return rows + [compare_greedy(case, a.greedy[case], b.greedy[case], tie, bound) for case in a.greedy]


def compare_greedy(case: Case, a: Greedy, b: Greedy, tie: float, bound: float | None) -> Row:
    """The share of ids that differ, each row up to its first tie: a choice with a margin below `tie`."""
    margins = a.margins if a.margins is not None else b.margins
    assert margins is not None, "one of the homes is ours"
    steps = min(a.ids.shape[1], b.ids.shape[1])
    differ = a.ids[:, :steps] != b.ids[:, :steps]
    compared = wrong = ties = 0
    for row in range(len(differ)):
        until = steps
        at = np.flatnonzero(differ[row].any(1))
        if len(at) and (margins[row, at[0]][differ[row, at[0]]] < tie).all():
            until, ties = int(at[0]), ties + 1
        compared += differ[row, :until].size
        wrong += int(differ[row, :until].sum())
    if not ties:  # Transformers writes the last end, Rosella stops before it
        wrong += differ[0, 0].size * len(differ) * max(abs(a.ids.shape[1] - b.ids.shape[1]) - 1, 0)
    remark = f"{compared} ids" + (f", {ties} rows up to a tie" if ties else "")
    return Row(str(case), wrong / max(compared, 1), None if bound is None else 0.0, remark)


def _saying(progress: Progress, number: int, side: Side, inputs: Inputs) -> Say:
    """Tells `progress` what a home is at, the first being number 0."""

    def say(part: str, frames: int | None = None) -> None:
        known = "" if frames is None else f", {frames} of {inputs.frames} frames"
        progress(number * len(trace.PARTS) + trace.PARTS.index(part), f"{side}: {part}{known}")

    return say


def _bound(config: DiaConfig, dtype: str) -> float | None:
    if dtype != "float32":
        return None
    return LARGE_BOUND if config.decoder.hidden_size >= LARGE_WIDTH else BOUND


def _side(name: str | Path) -> Side:
    home = open_home(name)
    by_transformers = home.kind is Kind.TRANSFORMERS and has_tokenizer(home.path)
    return Side(str(name), home.path, home.config, by_transformers)


def _check_sizes(a: DiaConfig, b: DiaConfig) -> None:
    parts = [(part, vars(getattr(a, part)), vars(getattr(b, part))) for part in ("encoder", "decoder")]
    found = [
        f"{part} {name} {ours[name]} and {theirs[name]}"
        for part, ours, theirs in parts
        for name in ours
        if ours[name] != theirs[name]
    ]
    if found:
        raise UserError(f"These are not two homes of one model: {'; '.join(found)}.")


def _compare_stage(stage: str, a: list[np.ndarray], b: list[np.ndarray], bound: float | None) -> Row:
    if np.issubdtype(a[0].dtype, np.integer):
        return _compare_ids(stage, a, b, bound)
    if any(ours.shape != theirs.shape for ours, theirs in zip(a, b, strict=True)):
        return Row(stage, float("inf"), bound, "of different lengths")
    errors = [_relative(ours, theirs) for ours, theirs in zip(a, b, strict=True)]
    whole = _relative(np.concatenate(a), np.concatenate(b))
    beyond = [str(row + 1) for row, error in enumerate(errors) if bound is not None and not error <= bound]
    return Row(stage, whole, bound, f"texts {', '.join(beyond)}" if beyond and len(errors) > 1 else "")


def _compare_ids(stage: str, a: list[np.ndarray], b: list[np.ndarray], bound: float | None) -> Row:
    total = wrong = 0
    remark = ""
    for row, (ours, theirs) in enumerate(zip(a, b, strict=True)):
        both = min(len(ours), len(theirs))
        differ = ours[:both] != theirs[:both]
        total += max(ours.size, theirs.size)
        wrong += int(differ.sum()) + abs(ours.size - theirs.size)
        if differ.any() and not remark:
            at = tuple(np.argwhere(differ)[0])
            remark = f"text {row + 1}, place {at[0] + 1}: {ours[at]} and {theirs[at]}"
    return Row(stage, wrong / total, None if bound is None else 0.0, remark or f"{total} ids")


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
