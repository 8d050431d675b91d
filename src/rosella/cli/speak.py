"""`rosella speak`: text to an audio file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rosella.errors import RosellaError, UserError
from rosella.files import write_text

if TYPE_CHECKING:
    from rosella.audio.encoding import Marks
    from rosella.inference.settings import Blocks
    from rosella.speak.recital import Recital
    from rosella.speak.subtitles import Cue

PIPE = Path("-")

Precision = Annotated[
    Literal["float32", "bfloat16", "int8"],
    typer.Option(help="Of the products; int8: the decoder's weights in a quarter of the memory."),
]
Backend = Annotated[
    Literal["jax", "torch"],
    typer.Option(help="Who computes; torch reads a Transformers folder, or mini."),
]
BlockSize = Annotated[
    int | None, typer.Option(help="Make so many steps at once, with a model that learnt to.")
]
Passes = Annotated[int | None, typer.Option(help="By which a block is made at most (default: 4).")]
VoiceTexts = Annotated[
    list[str] | None,
    typer.Option(help="Exactly what is said in the clip, or S2='...' (default: what a recogniser hears)."),
]


def register(app: typer.Typer) -> None:
    app.command("speak")(speak)


def speak(
    text: Annotated[
        str | None,
        typer.Argument(help="What to say, for example '[S1] Hello. [S2] Hi!'; - reads standard input."),
    ] = None,
    model: Annotated[str, typer.Option(help="mini, a model directory, or a hub name.")] = "mini",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .wav, .mp3, .flac, .ogg or .aac file, or - for a pipe.")
    ] = Path("out.wav"),
    codec: Annotated[str | None, typer.Option(help="Another codec than the model's own.")] = None,
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A saved voice or a clip; for several speakers S1=anna, again with S2=clip.wav."),
    ] = None,
    voice_text: VoiceTexts = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    guidance: Annotated[
        float | None,
        typer.Option(help="How closely to follow the text; at least 1 (default: the model's own)."),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy (default: the model's own).")] = None,
    top_k: int = 50,
    top_p: float = 0.95,
    max_seconds: Annotated[float | None, typer.Option(help="Cut the speech here at the latest.")] = None,
    pace: Annotated[
        float, typer.Option(help="How much faster than the model speaks, 0.25 to 4, at the same pitch.")
    ] = 1.0,
    best_of: Annotated[
        int, typer.Option(help="Say every piece so many times and keep the best; not with --stream.")
    ] = 1,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write while speaking; `-o -` is raw 16-bit PCM for a pipe.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="A text file to say, in UTF-8.")] = None,
    subtitles: Annotated[
        Path | None, typer.Option(help="Write who says what when: a .srt or .vtt file.")
    ] = None,
    blocks: BlockSize = None,
    passes: Passes = None,
    precision: Precision = "float32",
    backend: Backend = "jax",
) -> None:
    """Speak a dialogue of any length, in the voices of clips or saved ones if they are given."""
    from rosella.cli.voice import find_voices
    from rosella.speak import compiled, load, provenance

    for path in filter(None, (out, subtitles)):
        if not path.parent.is_dir():
            raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    write_cues = None if subtitles is None else subtitles_of(subtitles)
    said, voices = read_text(text, file), find_voices(voice or (), voice_text or ())
    settings = (seed, max_seconds, guidance, temperature, top_k, top_p, pace)
    takes, at_once = takes_of(best_of, stream or out == PIPE), blocks_of(blocks, passes)
    with compiled(backend):
        recital = load(model, codec, precision, backend).stream(said, voices, *settings, takes, at_once)
        seconds = _write(recital, out, stream, provenance.marks(model)) / recital.sample_rate
        if write_cues is not None and subtitles is not None:
            write_text(subtitles, write_cues(recital.cues))
    name = f"AI-generated 16-bit mono PCM at {recital.sample_rate} Hz" if out == PIPE else out
    ending = "" if recital.stopped else ", cut off at the length limit"
    print(f"{name}: {seconds:.1f} s{ending}", file=sys.stderr if out == PIPE else sys.stdout)


def blocks_of(size: int | None, passes: int | None) -> Blocks | None:
    """The settings of blocks where a size was given."""
    from rosella.inference.settings import Blocks

    if size is None and passes is not None:
        raise UserError("--passes is about blocks: give --blocks, or leave it out.")
    if size is None:
        return None
    return Blocks(size) if passes is None else Blocks(size, passes)


def takes_of(best_of: int, stream: bool) -> int | None:
    """How many takes of each piece the best is chosen of before it is heard; None for what is heard as it is made."""
    if stream and best_of != 1:
        raise UserError("--best-of chooses before anything is heard: leave it out, or --stream and -o -.")
    return None if stream else best_of


def _write(recital: Recital, out: Path, stream: bool, marks: Marks) -> int:
    """Write the speech, as it comes or at once, and return how many samples it has."""
    import numpy as np

    from rosella import audio

    if out == PIPE:
        written = _pipe(recital)
    elif stream:
        written = audio.write_pieces(out, recital, recital.sample_rate, marks)
    else:
        audio.require_writable(out)
        waves = list(recital)
        written = sum(map(len, waves))
        if written:
            audio.write(out, np.concatenate(waves), recital.sample_rate, marks)
    if not written:
        raise UserError("The model ended at once and said nothing: try another --seed.")
    return written


def _pipe(recital: Recital) -> int:
    """To standard output itself: what is printed outlives its reader, speech need not."""
    from rosella import audio

    try:
        with open(1, "wb", closefd=False) as pipe:
            return audio.write_pieces(pipe, recital, recital.sample_rate)
    except BrokenPipeError:
        raise RosellaError("Nobody reads the speech any more: stopped.") from None


def subtitles_of(path: Path) -> Callable[[Sequence[Cue]], str]:
    """What writes cues in the format that a file's name asks for."""
    from rosella.speak.subtitles import srt, vtt

    kinds = {".srt": srt, ".vtt": vtt}
    if path.suffix.lower() not in kinds:
        raise UserError(f"Cannot write {path}: name subtitles .srt or .vtt.")
    return kinds[path.suffix.lower()]


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
