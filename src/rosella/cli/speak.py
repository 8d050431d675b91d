"""`rosella speak`: text to an audio file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.errors import UserError

if TYPE_CHECKING:
    import numpy as np

PIPE = Path("-")
NOTHING = "The model ended at once and said nothing: try another --seed."


def register(app: typer.Typer) -> None:
    app.command("speak")(speak)


def speak(
    text: Annotated[
        str | None,
        typer.Argument(help="What to say, for example '[S1] Hello. [S2] Hi!'; - reads standard input."),
    ] = None,
    model: Annotated[str, typer.Option(help="mini, a model directory, or a hub name.")] = "mini",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .wav, .flac or .ogg file, or - for a pipe.")
    ] = Path("out.wav"),
    codec: Annotated[str | None, typer.Option(help="Another codec than the model's own.")] = None,
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A saved voice or a clip; for several speakers S1=anna, again with S2=clip.wav."),
    ] = None,
    voice_text: Annotated[
        list[str] | None,
        typer.Option(
            help="Exactly what is said in the clip, or S2='...' (default: what a recogniser hears)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    guidance: Annotated[
        float | None,
        typer.Option(help="How closely to follow the text; at least 1 (default: the model's own)."),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy (default: the model's own).")] = None,
    top_k: int = 50,
    top_p: float = 0.95,
    max_seconds: Annotated[float | None, typer.Option(help="Cut the speech here at the latest.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write while speaking; `-o -` is raw 16-bit PCM for a pipe.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="A text file to say, in UTF-8.")] = None,
) -> None:
    """Speak a text, in the voice of a clip if one is given."""
    from rosella import audio
    from rosella.cli.voice import find_voices
    from rosella.speak import load

    if not out.parent.is_dir():
        raise UserError(f"Cannot write {out}: the folder {out.parent} does not exist.")
    said, voices = read_text(text, file), find_voices(voice or (), voice_text or ())
    speaker = load(model, codec)
    settings = (seed, max_seconds, guidance, temperature, top_k, top_p)
    if stream or out == PIPE:
        _stream(speaker.stream(said, voices, *settings), out, speaker.codec.sample_rate)
        return
    speech = speaker.speak(said, voices, *settings)[0]
    if not len(speech.waveform):
        raise UserError(NOTHING)
    audio.write(out, speech.waveform, speech.sample_rate)
    ending = "" if speech.stopped else ", cut off at the length limit"
    print(f"{out}: {len(speech.waveform) / speech.sample_rate:.1f} s{ending}")


def _stream(pieces: Iterator[np.ndarray], out: Path, sample_rate: int) -> None:
    """Write as the pieces come; to a pipe only they, so that what is said of them goes beside it."""
    from rosella import audio

    name = f"16-bit mono PCM at {sample_rate} Hz" if out == PIPE else out
    written = audio.write_pieces(sys.stdout.buffer if out == PIPE else out, pieces, sample_rate)
    if not written:
        raise UserError(NOTHING)
    print(f"{name}: {written / sample_rate:.1f} s", file=sys.stderr if out == PIPE else sys.stdout)


def read_text(text: str | None, file: Path | None) -> str:
    """The text of the command line, of standard input (`-`) or of a file."""
    if (text is None) == (file is None):
        raise UserError("Give the text, or - to read standard input, or --file, and only one of them.")
    if text not in (None, "-"):
        return text
    source = file or "Standard input"
    try:
        return (file.read_bytes() if file else sys.stdin.buffer.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{source} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise UserError(f"{source} cannot be read ({error.strerror}): name a text file.") from None
