from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest
from safetensors.numpy import load, save

from rosella.errors import UserError
from rosella.speak import SavedVoice, VoiceShelf, make_voice, read_voice_file, save_voice, voices
from speak.counting import LEAVE, Codec, clip, saved


@pytest.fixture
def shelf(tmp_path):
    return VoiceShelf(tmp_path / "voices")


def test_a_voice_is_one_file_that_holds_all_that_is_known_of_it(shelf):
    made = saved("Dag, (laughs) allemaal.", language="nl")
    path = shelf.save("anna-2_b", made)
    assert [path] == list(shelf.folder.iterdir()) and shelf.names() == ["anna-2_b"]
    read = shelf.get("anna-2_b")
    np.testing.assert_array_equal(read.codes, Codec().encode([np.full(600, 0.1)])[0])  # -20 dBFS
    assert read.codes.dtype == np.uint16 and read.seconds == 3.0
    assert read.text == "[S1] Dag, (laughs) allemaal." and read.language == "nl"
    assert (read.licence, read.consent, read.codec.fingerprint) == (*LEAVE.values(), "tiny")
    assert read.version == made.version and abs((datetime.now(read.made.tzinfo) - read.made).seconds) < 60
    shelf.remove("anna-2_b")
    assert shelf.names() == [] and not path.exists()


@pytest.mark.parametrize(
    "name", ["", "../anna", "a/b", "a\\b", "a.b", "/anna", "-anna", "é", "a b", "a\n", "a\0", "~", "a" * 65]
)
def test_no_name_is_a_path(shelf, name):
    shelf.folder.mkdir()
    made = saved()
    save_voice(shelf.folder.parent / f"anna{voices.SUFFIX}", made)
    for use in (shelf.get, shelf.remove, shelf.path, lambda it: shelf.save(it, made)):
        with pytest.raises(UserError, match="cannot name a voice"):
            use(name)
    assert [path.name for path in shelf.folder.parent.iterdir() if path.is_file()] == [
        "anna.voice.safetensors"
    ]


def test_a_voice_takes_no_other_ones_place_and_nobody_is_not_found(shelf):
    shelf.save("anna", saved())
    with pytest.raises(UserError, match="There is a voice anna in .* already"):
        shelf.save("anna", saved("iets anders"))
    assert shelf.get("anna").text == "[S1] hoi"
    for use in (shelf.get, shelf.remove):
        with pytest.raises(UserError, match="There is no voice bram in"):
            use("bram")


@pytest.mark.parametrize(
    ("given", "changes", "sentence"),
    [
        (clip(), {"consent": " "}, "only with consent: say who agreed, when and to what"),
        (clip(), {"licence": ""}, "only with a licence"),
        (clip(), {"consent": "ja\x1b[2J"}, "one line of text"),
        (clip(), {"language": "nl\n"}, "language of a voice is one line"),
        (clip(1.9), {}, r"lasts 1\.9 s and a voice takes 2 to 30 s"),
        (clip(30.1), {}, r"lasts 30\.1 s"),
        (clip(0), {}, "clip is empty"),
        (clip(level=0), {}, "holds no sound"),
        (clip(level=0.0005), {}, "holds no sound"),
        (clip(level=np.nan), {}, "holds NaN"),
        (clip(text=" "), {}, "text is empty"),
        (clip(text="[S1] ja [S2] nee"), {}, r"speakers \[S1\] and \[S2\]: give a clip of one alone"),
    ],
)
def test_what_may_not_be_saved_is_one_sentence(given, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make_voice(given, Codec(), **{**LEAVE, **changes})


def test_a_file_is_not_believed(tmp_path):
    path = tmp_path / f"anna{voices.SUFFIX}"
    save_voice(path, saved())
    whole = path.read_bytes()
    codes = load(whole)["codes"]
    about = json.loads(saved().model_dump_json())

    def refused(sentence, codes=codes, **changes):
        path.write_bytes(save({"codes": codes}, {"rosella.voice": json.dumps({**about, **changes})}))
        with pytest.raises(UserError, match=sentence):
            read_voice_file(path)

    refused("cannot be used: A voice is kept only with consent", consent="")
    refused("damaged or no saved voice", consent=None)
    refused("damaged or no saved voice", made="yesterday")
    refused("damaged or no saved voice", codec={"fingerprint": "tiny"})
    refused("damaged or no saved voice", codec={**about["codec"], "frame_rate": 0})
    refused("damaged or no saved voice", codes=np.where(codes > 1, 16, codes).astype(np.uint16))
    refused("damaged or no saved voice", codes=codes.astype(np.int32))
    refused("damaged or no saved voice", codes=codes[:, :2].copy())
    refused("damaged or no saved voice", codes=codes[:0])
    refused("control character", text="[S1] a\x07")
    refused("one alone", text="[S1] a [S2] b")
    refused(r"begins with \[S1\]", text="[S3] a")
    for broken in (whole[:-1], b"", b"RIFF" * 100, save({"codes": codes}, {"rosella.voice": "[]"})):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="damaged or no saved voice"):
            read_voice_file(path)
    with pytest.raises(UserError, match="There is no voice file"):
        read_voice_file(tmp_path / "none")


def test_the_shelf_stands_where_it_is_told_or_among_the_users_data(monkeypatch, tmp_path):
    monkeypatch.setenv("ROSELLA_VOICES", str(tmp_path / "mine"))
    assert VoiceShelf().folder == tmp_path / "mine" and VoiceShelf(tmp_path).folder == tmp_path
    monkeypatch.delenv("ROSELLA_VOICES")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert VoiceShelf().folder == tmp_path / "data" / "rosella" / "voices"
    assert VoiceShelf().names() == [] and list(tmp_path.iterdir()) == []


def test_what_is_no_voice_on_a_shelf_is_not_listed(shelf):
    shelf.save("anna", saved())
    for name in ("notes.txt", f".x{voices.SUFFIX}", f"a b{voices.SUFFIX}", f".anna{voices.SUFFIX}.1.tmp"):
        (shelf.folder / name).touch()
    assert shelf.names() == ["anna"]


def test_saved_voices_are_validated_when_they_are_made():
    made = saved()
    with pytest.raises(UserError, match="only with consent"):
        SavedVoice.model_validate({**dict(made), "consent": ""})
