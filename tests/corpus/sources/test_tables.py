from __future__ import annotations

import pytest

from corpus.fakes import save_manifest, save_tone
from rosella.corpus.sources.read import read_source
from rosella.errors import UserError


def test_ljspeech(tmp_path):
    folder = tmp_path / "jan"
    for name in ("one", "two"):
        save_tone(folder / "wavs" / f"{name}.wav", 2.0)
    (folder / "metadata.csv").write_text("one|Dr. Jan, 3|Dokter Jan, drie\ntwo|“hoi”, zei ze\n")
    one, two = read_source(folder)
    assert one.audio == folder / "wavs" / "one.wav"
    assert (one.turns[0].text, one.turns[0].text_clean) == ("Dr. Jan, 3", "Dokter Jan, drie")
    assert (two.turns[0].text, two.turns[0].text_clean, two.turns[0].speaker) == (
        "“hoi”, zei ze",
        None,
        "jan",
    )
    assert read_source(folder / "metadata.csv") == [one, two]


def test_bad_ljspeech_lines_are_numbered(tmp_path):
    save_tone(tmp_path / "wavs" / "one.wav", 2.0)
    (tmp_path / "metadata.csv").write_text("one|hoi\nthree|hoi\none\none|a\x02b\n")
    with pytest.raises(
        UserError, match=r"line 2: .*wavs/three\.wav does not exist; line 3: .*1 fields.*; line 4: "
    ):
        read_source(tmp_path)


def test_audiofolder_csv(tmp_path):
    save_tone(tmp_path / "data" / "a.wav", 2.0)
    save_tone(tmp_path / "data" / "b.wav", 2.0)
    (tmp_path / "metadata.csv").write_text(
        'file_name,transcription,speaker_id,language\ndata/a.wav,"ja, ""echt""",7,nl\ndata/b.wav,nee,,\n'
    )
    a, b = read_source(tmp_path)
    assert (a.turns[0].text, a.turns[0].speaker, a.language) == ('ja, "echt"', "7", "nl")
    assert (b.turns[0].speaker, b.language) == (tmp_path.name, None)


def test_audiofolder_jsonl(tmp_path):
    save_tone(tmp_path / "a.wav", 2.0)
    save_manifest(
        tmp_path / "metadata.jsonl", [{"file_name": "a.wav", "text": "[S1] hoi [S2] dag", "speaker": "x"}]
    )
    (entry,) = read_source(tmp_path)
    assert entry.turns[0].text == "[S1] hoi [S2] dag"


def test_bad_audiofolder_rows_are_numbered(tmp_path):
    save_tone(tmp_path / "a.wav", 2.0)
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,hoi\nb.wav,hoi\na.wav,\n")
    with pytest.raises(UserError, match=r"line 3: .*b\.wav does not exist; line 4: it has no text"):
        read_source(tmp_path)
