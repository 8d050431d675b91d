from __future__ import annotations

import numpy as np

from rosella.corpus.recogniser import Transcript, Transcription
from rosella.evaluate.reading import read_back
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
