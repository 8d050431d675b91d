from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from corpus.fakes import FakeCodec, save_manifest, small_source, taken
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.stage import StageResult
from rosella.report.corpus import SAMPLES, write_page


@pytest.fixture
def corpus(tmp_path):
    with Corpus.open(tmp_path / "talks", create=True) as opened:
        yield opened


def test_the_page_shows_what_there_is_and_what_was_left_out(corpus, tmp_path):
    source = small_source(tmp_path / "source")
    (tmp_path / "source" / "bad.wav").write_bytes(b"no audio at all")
    lines = [*map(json.loads, source.read_text().splitlines()), {"audio": "bad.wav", "text": "<b>nee</b>"}]
    lines[0]["turns"].append({"start": 11.6, "end": 11.65, "speaker": "anna", "text": "<i>ja</i>"})
    corpus.add(save_manifest(tmp_path / "source" / "manifest.jsonl", lines))
    corpus.run(Models(FakeCodec()))
    write_page(corpus, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<h1>Corpus talks</h1>" in page and "0.6 min" in page
    assert "2 speakers" in page and "1 language." in page
    assert page.count("<svg") == 3
    assert 0 < page.count("<audio") <= SAMPLES
    assert "shorter than" in page and "bad.wav" in page
    assert "[S1] eh hallo" in page and "<i>ja" not in page
    assert re.search(r"segment</td>\s*<td[^>]*>3", page)


def test_a_corpus_without_utterances_has_a_page_too(corpus, tmp_path):
    write_page(corpus, tmp_path / "report.html")
    assert "There are none yet" in (tmp_path / "report.html").read_text()


def test_the_page_shows_how_much_a_recogniser_guessed(corpus, tmp_path):
    corpus.add(small_source(tmp_path / "source"))
    corpus.run(Models(FakeCodec()))
    (recording, *_) = corpus.catalogue.done("scan", "")
    utterances = corpus.catalogue.utterances(recording.id)
    guessed = [replace(u, confidence=-0.3, transcript_source="model") for u in utterances]
    corpus.catalogue.finish(
        taken(corpus.catalogue, recording.id, "tokenize", corpus.codes), StageResult(guessed)
    )
    write_page(corpus, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "log-probability of a byte" in page and f"({len(guessed)} of {len(guessed)})" in page
