from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from rosella import cli, speak


class Speaker:
    def __init__(self, frames: int) -> None:
        self.frames = frames

    def speak(self, *arguments):
        self.arguments = arguments
        return [
            speak.Speech(np.full(self.frames, 0.1, np.float32), 16000, np.zeros((0, 8), np.uint16), False)
        ]


@pytest.fixture
def speaker(monkeypatch):
    made = Speaker(8000)
    monkeypatch.setattr(speak, "load", lambda model, codec: made)
    return made


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["speak", *map(str, arguments)])
    return stop.value.code or 0


def test_speech_is_written_and_said_how_long(tmp_path, speaker, capsys):
    soundfile.write(tmp_path / "clip.wav", np.ones(100), 8000)
    arguments = ("--voice", tmp_path / "clip.wav", "--voice-text", "hoi", "--seed", 3, "--guidance", 2)
    assert run("[S1] Hallo.", "-o", tmp_path / "out.wav", *arguments) == 0
    wave, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(wave), rate) == (8000, 16000) and "0.5 s, cut off" in capsys.readouterr().out
    text, voice, seed, seconds, guidance, *_ = speaker.arguments
    assert (text, seed, seconds, guidance) == ("[S1] Hallo.", 3, None, 2)
    assert (voice.sample_rate, voice.text, len(voice.audio)) == (8000, "hoi", 100)


def test_each_speaker_may_have_a_voice(tmp_path, speaker):
    soundfile.write(tmp_path / "clip.wav", np.ones(100), 8000)
    each = [part for tag in ("S1", "S2") for part in ("--voice", f"{tag}={tmp_path / 'clip.wav'}")]
    said = ("--voice-text", "S2=twee", "--voice-text", "S1=een")
    assert run("[S1] Hallo.", "-o", tmp_path / "out.wav", *each, *said) == 0
    assert {tag: voice.text for tag, voice in speaker.arguments[1].items()} == {"S1": "een", "S2": "twee"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--voice", "x.wav"), "x.wav does not exist"),
        (("--voice-text", "hoi"), "--voice-text needs --voice"),
        (("--voice", "none.wav", "--voice-text", "hoi"), "none.wav"),
        (("-o", "nowhere/out.wav"), "the folder nowhere does not exist"),
        (("-o", "out.mp4"), "name it .wav, .flac, .ogg or .opus"),
    ],
)
def test_mistakes_are_one_sentence(speaker, capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert run("Hallo.", *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_silence_is_not_written(speaker, capsys, tmp_path):
    speaker.frames = 0
    assert run("Hallo.", "-o", tmp_path / "out.wav") == 2
    assert "try another --seed" in capsys.readouterr().err


def test_a_text_comes_from_a_file_or_from_standard_input(tmp_path, speaker, monkeypatch):
    (tmp_path / "script.txt").write_bytes(b"\xef\xbb\xbf[S1] H\xc3\xa9.\r\n[S2] Ja.")
    assert run("--file", tmp_path / "script.txt", "-o", tmp_path / "out.wav") == 0
    assert speaker.arguments[0] == "[S1] Hé.\r\n[S2] Ja."
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("[S1] Één.".encode()), "latin-1"))
    assert run("-", "-o", tmp_path / "out.wav") == 0
    assert speaker.arguments[0] == "[S1] Één."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give the text, or - to read standard input, or --file"),
        (("Hallo.", "--file", "script.txt"), "and only one of them"),
        (("--file", "none.txt"), "none.txt cannot be read (No such file or directory)"),
        (("--file", "."), ". cannot be read (Is a directory)"),
        (("--file", "script.txt"), "script.txt is not UTF-8 text: save it as UTF-8"),
        (("-",), "Standard input is not UTF-8 text"),
    ],
)
def test_texts_that_cannot_be_read_are_one_sentence(
    speaker, capsys, tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.txt").write_text("Hé.", "utf-16")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"H\xe9.")))
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not (tmp_path / "out.wav").exists()
