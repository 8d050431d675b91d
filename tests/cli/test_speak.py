from __future__ import annotations

import io
import os

import numpy as np
import pytest
import soundfile

from rosella import cli, speak
from rosella.inference.settings import Blocks
from rosella.speak.provenance import STATEMENT
from rosella.speak.subtitles import Cue


class Speaker:
    """What it streams is cut off; `so_far` tells how much of it somebody asked for."""

    sample_rate, stopped, cues = 16000, False, (Cue(0.0, 0.5, "S1", "Hallo."),)

    def __init__(self, samples: int) -> None:
        self.samples, self.so_far = samples, 0

    def loaded(self, *given):
        self.given = given
        return self

    def stream(self, *arguments):
        self.arguments = arguments
        return self

    def __iter__(self):
        for _ in range(0, self.samples, 4000):
            self.so_far += 4000
            yield np.full(4000, 0.1, np.float32)


@pytest.fixture
def speaker(monkeypatch):
    made = Speaker(8000)
    monkeypatch.setattr(speak, "load", lambda *given: made.loaded(*given))
    return made


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["speak", *map(str, arguments)])
    return stop.value.code or 0


def test_speech_is_written_and_said_how_long(tmp_path, speaker, capsys):
    soundfile.write(tmp_path / "clip.wav", np.ones(100), 8000)
    arguments = (
        "--voice",
        tmp_path / "clip.wav",
        "--voice-text",
        "hoi",
        "--seed",
        3,
        "--guidance",
        2,
        "--pace",
        1.5,
    )
    assert (
        run(
            "[S1] Hallo.", "-o", tmp_path / "out.wav", *arguments, "--precision", "int8", "--backend", "torch"
        )
        == 0
    )
    assert speaker.given == ("mini", None, "int8", "torch")
    wave, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(wave), rate) == (8000, 16000) and "0.5 s, cut off" in capsys.readouterr().out
    text, voice, seed, seconds, guidance, *_, pace, takes, blocks = speaker.arguments
    assert (text, seed, seconds, guidance, pace, takes) == ("[S1] Hallo.", 3, None, 2, 1.5, 1)
    assert blocks is None
    assert (voice.sample_rate, voice.text, len(voice.audio)) == (8000, "hoi", 100)


@pytest.mark.parametrize(
    ("arguments", "blocks"), [(("--passes", 2), Blocks(16, 2)), ((), Blocks(16)), (("--stream",), Blocks(16))]
)
def test_many_steps_at_once(tmp_path, speaker, arguments, blocks):
    assert run("Hallo.", "-o", tmp_path / "out.wav", "--blocks", 16, *arguments) == 0
    assert speaker.arguments[-1] == blocks


def test_passes_without_blocks_are_refused(tmp_path, speaker, capsys):
    assert run("Hallo.", "-o", tmp_path / "out.wav", "--passes", 2) == 2
    assert "--passes is about blocks: give --blocks" in capsys.readouterr().err


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
        (("-o", "out.mp4"), "name it .wav, .flac, .ogg, .opus, .mp3 or .aac"),
        (("-o", "out.mp4", "--stream"), "name it .wav, .flac, .ogg, .opus, .mp3 or .aac"),
        (("--best-of", 3, "--stream"), "--best-of chooses before anything is heard"),
        (("--best-of", 3, "-o", "-"), "--best-of chooses before anything is heard"),
        (("--subtitles", "out.txt"), "name subtitles .srt or .vtt"),
        (("--subtitles", "nowhere/out.srt"), "the folder nowhere does not exist"),
    ],
)
def test_mistakes_are_one_sentence(speaker, capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert run("Hallo.", *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
    assert not speaker.so_far, "nobody waits to be refused"


def test_only_what_is_written_at_once_is_chosen_among_takes(tmp_path, speaker, capfdbinary):
    assert run("Hallo.", "-o", tmp_path / "out.wav", "--best-of", 3) == 0
    assert speaker.arguments[-2] == 3
    for streamed in (("-o", tmp_path / "out.wav", "--stream"), ("-o", "-")):
        assert run("Hallo.", *streamed) == 0
        assert speaker.arguments[-1] is None


def test_silence_is_not_written(speaker, capsys, tmp_path):
    speaker.samples = 0
    assert run("Hallo.", "-o", tmp_path / "out.wav") == 2
    assert "try another --seed" in capsys.readouterr().err


def test_a_file_grows_while_it_is_spoken(tmp_path, speaker):
    out, sizes = tmp_path / "out.wav", []

    def growing():
        for _ in range(8):
            sizes.append(out.stat().st_size)
            yield np.full(1000, 0.1, np.float32)

    speaker.stream = lambda *arguments: _Following(growing)
    assert run("[S1] Hallo.", "--stream", "-o", out, "--subtitles", tmp_path / "out.srt") == 0
    assert (np.diff(sizes) == 2000).all()
    assert soundfile.info(out).frames == 8000
    assert "Hallo." in (tmp_path / "out.srt").read_text()


class _Following:
    sample_rate, stopped, cues = 16000, True, Speaker.cues

    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return self.pieces()


def test_a_pipe_gets_samples_and_nothing_else(speaker, capfdbinary):
    assert run("[S1] Hallo.", "-o", "-") == 0
    said = capfdbinary.readouterr()
    np.testing.assert_array_equal(np.frombuffer(said.out, "<i2"), np.full(8000, 3277))
    assert b"AI-generated 16-bit mono PCM at 16000 Hz: 0.5 s" in said.err


@pytest.mark.parametrize("stream", [(), ("--stream",)])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_file_says_that_a_machine_spoke(speaker, tmp_path, suffix, stream):
    out = tmp_path / f"out{suffix}"
    assert run("[S1] Hallo.", "-o", out, *stream) == 0
    assert f"{STATEMENT}. Model: mini".encode() in out.read_bytes()


def test_who_leaves_a_pipe_stops_the_model(speaker, capfd):
    speaker.samples, (reads, writes), kept = 400_000, os.pipe(), os.dup(1)
    os.dup2(writes, 1)
    os.close(writes)
    os.close(reads)
    try:
        code = run("[S1] Hallo.", "-o", "-")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert code == 1
    assert "Nobody reads" in capfd.readouterr().err
    assert speaker.so_far == 4000


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_a_disk_that_is_full_is_said_so(speaker, tmp_path, capfd):
    (tmp_path / "out.wav").symlink_to("/dev/full")
    assert run("[S1] Hallo.", "--stream", "-o", tmp_path / "out.wav") == 1
    assert "The disk is full" in capfd.readouterr().err


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
