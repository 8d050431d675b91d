from __future__ import annotations

import threading

import numpy as np
import pytest

from corpus.fakes import FakeCodec, save_tone
from rosella import audio
from rosella.corpus.ahead import Ahead
from rosella.corpus.steps import tokenize as module
from rosella.corpus.steps.tokenize import decode, encode
from rosella.errors import UserError
from rosella.records import Recording, Utterance


@pytest.fixture
def recording(tmp_path):
    return Recording("r", str(save_tone(tmp_path / "r.wav", 30.0)), 30.0, 16000, 1)


def tokenize(recording, utterances, codec):
    codes, rejects = {}, []
    with Ahead(decode(recording, utterances, codec.sample_rate)) as batches:
        for some, without in encode(batches, codec):
            codes |= some
            rejects += without
    return codes, rejects


def spans(*starts):
    return [Utterance(f"u{start}", "r", start, start + 2.0, "[S1] ja") for start in starts]


def test_codes_are_those_of_one_at_a_time(recording, monkeypatch):
    monkeypatch.setattr(module, "BATCH_SECONDS", 4.0)
    utterances = spans(0, 3, 6, 9, 12, 15, 18)
    codes, rejects = tokenize(recording, utterances, FakeCodec())
    assert list(codes) == [u.id for u in utterances] and rejects == []
    for utterance in utterances:
        wave = audio.decode(recording.path, 16000, utterance.start, utterance.end)
        (alone,) = FakeCodec().encode([audio.normalise_loudness(wave, 16000)])
        np.testing.assert_array_equal(codes[utterance.id], alone)


def test_the_next_batch_is_decoded_while_this_one_is_encoded(recording, monkeypatch):
    monkeypatch.setattr(module, "BATCH_SECONDS", 2.0)
    begun = threading.Event()
    decode = module._waveforms

    def noting(reader, utterances, rate):
        if [u.id for u in utterances] == ["u6"]:
            begun.set()
        return decode(reader, utterances, rate)

    class Waiting(FakeCodec):
        def encode(self, waveforms):
            if not self.encoded:
                assert begun.wait(20), "the second batch waits for the first"
            return super().encode(waveforms)

    monkeypatch.setattr(module, "_waveforms", noting)
    assert len(tokenize(recording, spans(0, 6), Waiting())[0]) == 2


def test_a_span_that_cannot_be_decoded_ends_it_and_nothing_hangs(recording):
    with pytest.raises(UserError):
        tokenize(recording, [*spans(0, 3), Utterance("late", "r", 90.0, 92.0, "[S1] nee")], FakeCodec())


def test_a_recording_is_opened_once_by_each_thread(recording, monkeypatch):
    opened, open_source = [], audio.open_source
    readers, new_reader = [], audio.Reader
    monkeypatch.setattr(
        "rosella.audio.decoding.open_source", lambda path: opened.append(open_source(path)) or opened[-1]
    )
    monkeypatch.setattr(audio, "Reader", lambda path: readers.append(new_reader(path)) or readers[-1])
    monkeypatch.setattr(module, "DECODERS", 2)
    tokenize(recording, spans(*range(2, 26, 2)), FakeCodec())
    assert 1 <= len(opened) <= 2
    assert all(file.closed for file in opened)
