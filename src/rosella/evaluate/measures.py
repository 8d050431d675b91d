"""The measures: what each number of an evaluation is called, which value is the best, its unit and what it means.

Terminal, JSON and pages take their names from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rosella.numbers import DASH, percent

SHARE = "share"
"""The unit of what is counted against a whole, 1 being all of it; people read percent."""


@dataclass(frozen=True)
class Measure:
    """A number of a summary, by its key there. Better is nearer to the `ideal`: up to 1, down to 0."""

    key: str
    name: str
    ideal: float
    unit: str = SHARE
    meaning: str = ""
    short: str = ""
    """Its name above a column."""

    def shown(self, value: float | None) -> str:
        """As a person reads it; a dash where there was nothing to measure."""
        if self.unit == SHARE:
            return percent(value, space="\N{NO-BREAK SPACE}")
        return DASH if value is None or math.isnan(value) else f"{value:.2f} {self.unit}".strip()

    def gain(self, before: float, after: float) -> tuple[float, str]:
        """How much nearer `after` is to the ideal, and that as a person reads it."""
        nearer = abs(before - self.ideal) - abs(after - self.ideal)
        return nearer, f"{100 * nearer:+.0f} points" if self.unit == SHARE else f"{nearer:+.2f}"


_RETRIEVAL = (
    "For this share of the sentences, the recording nearest to what the model said is the right one "
    "among all sentences of that voice (time-warped distance of mel cepstra)."
)
_WER = "A recogniser writes down what the model said; the share of words it has wrong, missing or too many."
_STOPPED = "Share of the clips that ended before the time limit."
_LENGTH = "Median length of a clip divided by its reference's; 1 is the same pace."
_SPREAD = "Median distance of that ratio from 1; 0 is the same length each time."
_PITCH = "Median difference between the pitch of a clip and of its reference; a rough measure of the voice."
_TIMBRE = "Median difference of the average spectra; a rough measure of the voice and the sound."

SPEECH = (
    Measure("retrieval", "Understood", 1.0, SHARE, _RETRIEVAL),
    Measure("wer", "Word errors, read back", 0.0, SHARE, _WER),
    Measure("stopped", "Stopped by itself", 1.0, SHARE, _STOPPED),
    Measure("length_ratio", "Length", 1.0, "", _LENGTH),
    Measure("length_spread", "Length, spread", 0.0, "", _SPREAD),
    Measure("pitch_semitones", "Pitch distance", 0.0, "semitones", _PITCH),
    Measure("spectrum_db", "Timbre distance", 0.0, "dB", _TIMBRE),
)
"""Of a model that speaks (`evaluate.speaking`)."""

CONTROLS = {
    "retrieval_round_trip": "round trip of the references",
    "retrieval_shuffled_text": "shuffled text",
    "retrieval_chance": "guessing",
    "wer_round_trip": "word errors on the round trip",
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
