"""The measures: what each number of a training or an evaluation is called, its unit, its best value and its meaning.

Terminal, `metrics.jsonl`, trackers and pages take their names from here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rosella.numbers import DASH, percent

SHARE = "share"
"""The unit of what is counted against a whole, 1 being all of it; people read percent."""


@dataclass(frozen=True)
class Measure:
    """A number of a record or a summary, by its key there. Better is nearer to the `ideal`: up to 1, down to 0.

    An ideal of None means that neither way is better.
    """

    key: str
    name: str
    ideal: float | None
    unit: str = SHARE
    meaning: str = ""
    short: str = ""
    """Its name above a column."""

    def shown(self, value: float | None) -> str:
        """As a person reads it; a dash where there was nothing to measure."""
        if self.unit == SHARE:
            return percent(value, space="\N{NO-BREAK SPACE}")
        if value is None or math.isnan(value):
            return DASH
        return f"{_number(value)} {self.unit}".strip()

    def between(self, interval: tuple[float, float] | None) -> str:
        """An interval as a person reads it; empty where there is none."""
        if interval is None:
            return ""
        low, high = (self.shown(value) for value in interval)
        return f"{re.split(r'[^-+.,e0-9]', low)[0]} to {high}"

    def nearer(self, before: Any, after: Any) -> Any:
        """By how much `after` is nearer to the ideal than `before`; negative where it is further away. Numbers or arrays."""
        if self.ideal is None:
            return 0.0 * (after - before)
        if math.isinf(self.ideal):
            return after - before
        return abs(before - self.ideal) - abs(after - self.ideal)

    def difference(self, nearer: float) -> str:
        """How much nearer a value came to the ideal, as a person reads it."""
        return f"{100 * nearer:+.0f} points" if self.unit == SHARE else f"{nearer:+.2f}"


def by_name(record: Mapping[str, Any]) -> dict[str, float]:
    """A line of `metrics.jsonl` as single numbers: `train/loss`, `train/codebook_losses/1`, …, without what is null."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if key in ("split", "step"):
            continue
        name = f"{record['split']}/{key}"
        parts = (
            enumerate(value, 1)
            if isinstance(value, list)
            else value.items()
            if isinstance(value, dict)
            else ()
        )
        numbers = {f"{name}/{number}": part for number, part in parts} or {name: value}
        found |= {name: float(number) for name, number in numbers.items() if isinstance(number, int | float)}
    return found


_AHEAD = "With blocks: the cross-entropy of the next step after known ones, as without blocks."
_BOUND = (
    "With blocks: at most so much is the cross-entropy of all ids of a block told in any order (minus the evidence's lower "
    "bound), beside the loss of the next step."
)

LEARNT = (
    Measure("loss", "Loss", 0.0, "nats", "Cross-entropy, the weighted mean over the codebooks."),
    Measure("codebook_losses", "Loss by codebook", 0.0, "nats", "Cross-entropy of each codebook."),
    Measure("accuracy", "Right codes", 1.0, SHARE, "Share of the codes and ends that were the likeliest."),
    Measure("codebook_accuracies", "Right codes by codebook", 1.0, SHARE, "The same of each codebook."),
    Measure("ar_loss", "Loss of the next step", 0.0, "nats", _AHEAD),
    Measure(
        "ar_codebook_losses", "Loss of the next step by codebook", 0.0, "nats", "The same of each codebook."
    ),
    Measure("elbo_loss", "Bound on the loss", 0.0, "nats", _BOUND),
    Measure(
        "elbo_codebook_losses", "Bound on the loss by codebook", 0.0, "nats", "The same of each codebook."
    ),
)
"""What the objective tells of itself, in training or validation; the last four of blocks alone."""

TRAINING = (
    *LEARNT,
    Measure("lr", "Learning rate", None, "", "The rate that the step used."),
    Measure("grad_norm", "Gradient norm", None, "", "Of all gradients together, before clipping."),
    Measure(
        "text_dropped", "Text dropped", None, SHARE, "Share of the utterances trained without their text."
    ),
    Measure("bad_steps", "Skipped steps", 0.0, "", "Steps whose loss or gradient was not finite, so far."),
    Measure("frames_per_second", "Speed", math.inf, "frames/s", "Codec frames without padding."),
    Measure(
        "mfu",
        "Model FLOP utilisation",
        1.0,
        SHARE,
        "Matrix products of the useful positions, against the peak of the devices.",
    ),
    Measure(
        "data_wait", "Waiting for data", 0.0, SHARE, "Share of the time that the loop stood for a batch."
    ),
    Measure("peak_memory", "Peak memory", None, "GiB", "Of the fullest device; of the process on a CPU."),
)
"""Of a run's lines of the splits `train` and `validation`."""

TIME = (
    Measure("seconds", "Time", None, "s", "Since this start of the run."),
    Measure("productive", "Training", None, "s", "Of it, the seconds that went into steps."),
    Measure("lost", "Lost", 0.0, "s", "Seconds that went into something else, by what it was."),
    Measure(
        "first_step", "To the first step", 0.0, "s", "Seconds from the start to the end of the first step."
    ),
)
"""Of a run's lines of the split `time`."""

BY_THE_CLOCK = frozenset({"frames_per_second", "mfu", "data_wait", "peak_memory"})
"""What two equal runs do not share."""

_RETRIEVAL = (
    "For this share of the sentences, the recording nearest to what the model said is the right one "
    "among all sentences of that voice (time-warped distance of mel cepstra)."
)
_WER = "A recogniser writes down what the model said; the share of words it has wrong, missing or too many."
_KEPT = "The same without the lost clips: one clip that loops can outweigh all the others."
_LOST = "Share of the clips with more than half of their words wrong, missing or too many."
_SIMILARITY = "Cosine of speaker embeddings of a clip and of the clip that showed the voice; 1 is the same."
_VOICE = (
    "Share of the clips whose voice is nearer to the clip that showed it than to those of the other speakers."
)
_TURNS = (
    "In sentences with several speakers: the share of turns whose voice is nearer to its speaker's in the clip "
    "than to the others'; the model itself tells where in its text each turn is."
)
_STOPPED = "Share of the clips that ended before the time limit."
_LENGTH = (
    "Median length of a clip's speech, first sound to last, divided by its reference's; 1 is the same pace."
)
_SPREAD = "Median distance of that ratio from 1; 0 is the same length each time."
_PITCH = "Median difference between the pitch of a clip and of its reference; a rough measure of the voice."
_TIMBRE = "Median difference of the average spectra; a rough measure of the voice and the sound."

SPEECH = (
    Measure("retrieval", "Understood", 1.0, SHARE, _RETRIEVAL),
    Measure("wer", "Word errors, read back", 0.0, SHARE, _WER),
    Measure("wer_kept", "Word errors, without lost clips", 0.0, SHARE, _KEPT),
    Measure("lost", "Lost clips", 0.0, SHARE, _LOST),
    Measure("stopped", "Stopped by itself", 1.0, SHARE, _STOPPED),
    Measure("similarity", "Voice similarity", 1.0, "", _SIMILARITY),
    Measure("voice_right", "Right voice", 1.0, SHARE, _VOICE),
    Measure("turns_right", "Right speaker of a turn", 1.0, SHARE, _TURNS),
    Measure("length_ratio", "Length", 1.0, "", _LENGTH),
    Measure("length_spread", "Length, spread", 0.0, "", _SPREAD),
    Measure("pitch_semitones", "Pitch distance", 0.0, "semitones", _PITCH),
    Measure("spectrum_db", "Timbre distance", 0.0, "dB", _TIMBRE),
)
"""Of a model that speaks (`evaluate.speaking`), and of a run's lines of the split `listening`."""

CONTROLS = {
    "retrieval_round_trip": "round trip of the references",
    "retrieval_shuffled_text": "shuffled text",
    "retrieval_chance": "guessing",
    "wer_round_trip": "word errors on the round trip",
    "turns_right_round_trip": "right speaker of a turn, round trip",
}
"""What the shares of `SPEECH` stand beside."""

RECOGNITION = (
    Measure("wer", "word errors, tags and events included", 0.0, short="word errors"),
    Measure("wer_plain", "word errors, words alone", 0.0, short="words alone"),
    Measure("cer", "character errors, tags and events included", 0.0),
    Measure("cer_plain", "character errors, words alone", 0.0),
    Measure("cpwer", "word errors by speaker (cpWER)", 0.0, short="by speaker"),
    Measure("speaker_count_right", "right number of speakers", 1.0),
    Measure("filler_recall", "of the fillers said, so many were written", 1.0, short="fillers written"),
    Measure("filler_precision", "of the fillers written, so many were said", 1.0),
    Measure("stutter_recall", "of the stutters said, so many were written", 1.0),
    Measure("stutter_precision", "of the stutters written, so many were said", 1.0),
    Measure("event_f1", "events, both ways (F1)", 1.0),
)
"""Of a recogniser (`asr.evaluation`)."""


def measure_of(name: str) -> Measure:
    """The measure of a name as `by_name` gives it, such as `validation/loss`; a KeyError for others."""
    split, _, key = name.partition("/")
    splits = {"train": TRAINING, "validation": TRAINING, "listening": SPEECH, "time": TIME}
    return {measure.key: measure for measure in splits[split]}[key.split("/")[0]]


def _number(value: float) -> str:
    if value and not 0.01 <= abs(value) < 1000:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1e}"
    return f"{value:.2f}"
