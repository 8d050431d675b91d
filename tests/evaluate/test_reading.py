from __future__ import annotations

import numpy as np

from rosella.corpus.recogniser import Transcribed, Transcript, Transcription
from rosella.evaluate.reading import Dictation, read_back, write_down
from rosella.evaluate.sentences import Sentence


class Reader:
    window, batch_size, languages = 10.0, 4, frozenset({"nl"})

    def write(self, clips, waves):
        return {
            clip.id: Transcription("nl", 0.0, {"verbatim": Transcript("[S1] Een, twee!", -0.1, 1.0)})
            for clip in clips
        }


def test_words_alone_are_compared_and_errors_are_kept_by_clip(tmp_path):
    texts = ["[S1] een twee (laughs)", "[S2] een twee drie", "iets anders"]
    sentences = [Sentence(str(n), text, tmp_path) for n, text in enumerate(texts)]
    reading = read_back(Reader(), sentences, [np.ones(1600, np.float32)] * 3)
    assert [(each.edits, each.length) for each in reading.errors] == [(0, 2), (1, 3), (2, 2)]
    assert reading.wer == 3 / 7


class Writer:
    """Writes one thing, this sure of it, of clips that fit its window."""

    languages = frozenset({"nl"})

    def __init__(self, text="[S1] hoi", sure=-0.01, silence=0.0):
        self.text, self.sure, self.silence, self.asked = text, sure, silence, []

    def transcribe(self, clips):
        self.asked += clips
        if any(clip.end > 10 for clip in clips):
            return Transcribed({}, {clip.id: "longer than its window" for clip in clips})
        heard = Transcription("nl", self.silence, {"verbatim": Transcript(self.text, self.sure, 1.0)})
        return Transcribed({clip.id: heard for clip in clips})


def dictation(seconds=2.0, language: str | None = None, **heard):
    writer = Writer(**heard)
    return write_down(writer, "a.wav", seconds, language), writer.asked[0].language


def test_what_is_written_down_is_doubted_where_it_is_a_guess_or_nothing():
    assert dictation(language="nl") == (Dictation("[S1] hoi"), "nl")
    assert dictation(language="fy")[1] is None, "a language that it does not know is guessed"
    assert dictation(sure=-0.2)[0] == Dictation("[S1] hoi", "it only guesses '[S1] hoi'")
    assert dictation(silence=0.9)[0].doubt == dictation(text=" ")[0].doubt == "it hears no speech"
    assert dictation(11.0)[0] == Dictation("", "longer than its window")
