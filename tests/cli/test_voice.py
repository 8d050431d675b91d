from __future__ import annotations

import numpy as np
import pytest
import soundfile

from rosella import cli, mini
from rosella.cli.voice import find_voices
from rosella.corpus.recogniser import Transcribed, Transcript, Transcription
from rosella.errors import UserError
from rosella.evaluate import reading
from rosella.speak import SavedVoice, VoiceShelf

LEAVE = ("--licence", "CC-BY-4.0", "--consent", "my own voice")


class Transcriber:
    """Hears what it is told to, this sure of it."""

    languages = ("nl",)

    def __init__(self) -> None:
        self.text, self.sure, self.silence, self.asked = "[S1] hoi", -0.01, 0.0, []

    def transcribe(self, clips):
        self.asked += clips
        if any(clip.end > 10 for clip in clips):
            return Transcribed({}, {clip.id: "longer than its window" for clip in clips})
        heard = Transcription("nl", self.silence, {"verbatim": Transcript(self.text, self.sure, 1.0)})
        return Transcribed({clip.id: heard for clip in clips})


@pytest.fixture
def transcriber(monkeypatch):
    made = Transcriber()
    monkeypatch.setattr(reading, "reader", lambda recogniser: made)
    return made


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("ROSELLA_VOICES", str(tmp_path / "shelf"))
    monkeypatch.chdir(tmp_path)
    return VoiceShelf()


@pytest.fixture
def run(capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main(["voice", *map(str, arguments)])
        return stop.value.code or 0, *capsys.readouterr()

    return run


def clip(path, seconds=2.5, level=0.3):
    time = np.arange(round(seconds * 16000)) / 16000
    soundfile.write(path, level * np.sin(2 * np.pi * 200 * time), 16000)
    return path


def test_a_voice_is_saved_listed_shown_and_removed(run, tmp_path, shelf):
    arguments = (clip(tmp_path / "a.wav"), "--text", "Dag allemaal.", *LEAVE, "--language", "nl")
    code, out, _ = run("save", "anna", *arguments)
    assert code == 0 and "2.5 s; after it the model has room for 17.8 s and 497 bytes of text" in out
    assert "Said: [S1] Dag allemaal." in out and shelf.get("anna").language == "nl"
    assert run("list") == (0, "anna   2.5 s  nl  CC-BY-4.0  my own voice\n", "")
    code, out, _ = run("show", "anna")
    assert code == 0 and all(
        f in out for f in ("[S1] Dag", "2.5 s", "my own voice", "mel:", str(shelf.path("anna")))
    )
    assert run("save", "anna", *arguments)[0] == 2
    assert run("remove", "anna")[0] == 0 and shelf.names() == []
    assert run("remove", "anna")[0] == run("show", "anna")[0] == 2
    assert run("list")[1].startswith(f"There is no voice in {shelf.folder}")


def test_a_damaged_voice_is_listed_as_such_and_can_be_removed(run, shelf):
    shelf.folder.mkdir()
    (shelf.folder / "b.voice.safetensors").write_bytes(b"x")
    code, out, _ = run("list")
    assert code == 0 and out.startswith("b  ") and "damaged" in out and out.count("\n") == 1
    assert run("remove", "b", "--voices", shelf.folder)[0] == 0


def test_without_a_text_the_recogniser_writes_it_and_it_is_shown(run, tmp_path, shelf, transcriber):
    code, out, _ = run(
        "save", "anna", clip(tmp_path / "a.wav"), *LEAVE, "--codec", "mini", "--language", "fy"
    )
    assert code == 0 and "Heard (if that is wrong, save it with --text): [S1] hoi" in out
    (asked,) = transcriber.asked
    assert (asked.start, asked.end, asked.language) == (0.0, 2.5, None)  # it does not know fy
    assert shelf.get("anna").text == "[S1] hoi" and shelf.get("anna").language == "fy"


@pytest.mark.parametrize(
    ("heard", "sentence"),
    [
        ({"sure": -0.2}, "it only guesses '[S1] hoi'"),
        ({"silence": 0.9}, "it hears no speech"),
        ({"text": " "}, "it hears no speech"),
        ({"text": "[S1] ja [S2] nee"}, "give a clip of one alone"),
    ],
)
def test_what_a_recogniser_did_not_understand_is_not_saved(run, tmp_path, transcriber, heard, sentence):
    vars(transcriber).update(heard)
    code, _, error = run("save", "anna", clip(tmp_path / "a.wav"), *LEAVE)
    assert code == 2 and sentence in error and error.count("\n") == 1 and not (tmp_path / "shelf").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("anna", "a.wav"), "only with consent: say who agreed, when and to what"),
        (("anna", "a.wav", "--consent", "ja"), "only with a licence"),
        (("../a", "a.wav", *LEAVE), "cannot name a voice"),
        (("anna", "none.wav", *LEAVE), "none.wav does not exist"),
        (("anna", "short.wav", *LEAVE), "takes 2 to 30 s"),
        (("anna", "long.wav", *LEAVE), "lasts 30.5 s and a voice takes 2 to 30 s"),
        (("anna", "full.wav", *LEAVE), "longer than its window"),
        (("anna", "full.wav", *LEAVE, "--text", "hoi"), "clip lasts 21.0 s, and the model holds 20.3 s"),
        (("anna", "silent.wav", *LEAVE, "--text", "hoi"), "holds no sound"),
        (("anna", "nan.wav", *LEAVE, "--text", "hoi"), "holds NaN"),
        (("anna", "a.wav", *LEAVE, "--text", "a" * 600), "transcript of the voice has 602 bytes"),
        (("anna", "a.wav", *LEAVE, "--text", "hoi", "--model", "nowhere"), "There is no model nowhere"),
    ],
)
def test_what_may_not_be_saved_is_one_sentence(run, tmp_path, transcriber, arguments, sentence):
    for name, seconds in {"a": 2.5, "short": 1.0, "long": 30.5, "full": 21.0}.items():
        clip(tmp_path / f"{name}.wav", seconds)
    clip(tmp_path / "silent.wav", level=0)
    soundfile.write(tmp_path / "nan.wav", np.full(40000, np.nan), 16000, "FLOAT")
    code, _, error = run("save", *arguments)
    assert code == 2 and sentence in error and error.count("\n") == 1
    assert not (tmp_path / "shelf").exists()
    assert bool(transcriber.asked) == ("longer than its window" in sentence)  # nobody waits to be refused


def test_a_real_recogniser_hears_a_clip(run, shelf):
    path = mini.path("podcast") / "heldout" / "anna-00.opus"
    assert run("save", "anna", path, *LEAVE)[0] == 0
    assert "ihr Bruder findet drei braune Eier" in shelf.get("anna").text


def test_a_voice_is_a_saved_name_a_file_or_a_clip(run, tmp_path, shelf, transcriber, capsys):
    run("save", "anna", clip(tmp_path / "a.wav"), "--text", "hoi", *LEAVE)
    (tmp_path / "anna").write_bytes((tmp_path / "a.wav").read_bytes())
    capsys.readouterr()
    assert find_voices([], []) is None
    by_name, by_path = find_voices(["anna"], []), find_voices([str(shelf.path("anna"))], [])
    assert (
        isinstance(by_name, SavedVoice) and isinstance(by_path, SavedVoice) and by_path.text == by_name.text
    )
    assert find_voices(["./anna"], ["S1=x"]).text == "S1=x"  # one voice: its text is whole
    (tmp_path / "plain").write_bytes((tmp_path / "a.wav").read_bytes())
    assert find_voices(["plain"], ["x"]).text == "x"
    assert capsys.readouterr().err == ""
    heard = find_voices(["a.wav"], [])
    assert (
        heard.text == "[S1] hoi"
        and "Heard in a.wav (correct it with --voice-text): [S1] hoi" in capsys.readouterr().err
    )
    both = find_voices(["S2=a.wav", "S1=anna"], ["S2=[S2] zo=zo"])
    assert both["S2"].text == "[S2] zo=zo" and isinstance(both["S1"], SavedVoice) and len(both) == 2


@pytest.mark.parametrize(
    ("named", "texts", "sentence"),
    [
        ([], ["hoi"], "--voice-text needs --voice: give"),
        (["S1=anna"], ["S2=hoi"], "--voice-text S2=... needs --voice S2=..."),
        (["S1=anna"], ["hoi"], "--voice-text names no speaker"),
        (["anna", "bram"], [], "is given twice: give each with its speaker"),
        (["S1=anna", "S1=bram"], [], "is given twice: give each once for S1"),
        (["S1=anna", "bram"], [], "--voice bram names no speaker beside others"),
        (["a.wav"], ["een", "twee"], "--voice-text is given twice"),
        (["bram"], [], "There is no voice bram in"),
        (["none.wav"], ["hoi"], "none.wav does not exist"),
        (["none.voice.safetensors"], [], "There is no voice file none"),
        (["anna"], ["hoi"], "was saved with what is said in it: leave out --voice-text"),
    ],
)
def test_voices_that_cannot_be_meant_are_one_sentence(run, tmp_path, named, texts, sentence):
    run("save", "anna", clip(tmp_path / "a.wav"), "--text", "hoi", *LEAVE)
    with pytest.raises(UserError) as refused:
        find_voices(named, texts)
    assert sentence in str(refused.value)
