"""`rosella voice`: voices saved under a name, and what `--voice` of `rosella speak` may be."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.errors import UserError
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.codec.interface import Codec
    from rosella.model.config import DiaConfig
    from rosella.speak import SavedVoice, Voice, VoiceShelf
    from rosella.speak.voices import AnyVoice, Voices

Name = Annotated[str, typer.Argument(help="Letters, digits, - and _.")]
Folder = Annotated[
    Path | None,
    typer.Option("--voices", metavar="DIR", help="Where voices lie (default: ROSELLA_VOICES, or your data)."),
]
_FOR_SPEAKER = re.compile(r"(S\d+)=(.*)", re.DOTALL)


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(help="Voices to speak in, saved under a name.", no_args_is_help=True)
    verbs.command("save")(save)
    verbs.command("list")(show_all)
    verbs.command("show")(show)
    verbs.command("remove")(remove)
    app.add_typer(verbs, name="voice")


def save(
    name: Name,
    clip: Annotated[Path, typer.Argument(help="2 to 30 s of one person speaking; 5 to 10 are enough.")],
    text: Annotated[
        str | None, typer.Option(help="Exactly what is said in it (default: what a recogniser hears).")
    ] = None,
    consent: Annotated[
        str, typer.Option(help="Who agreed, when and to what, such as 'my own voice'; needed.")
    ] = "",
    licence: Annotated[str, typer.Option(help="Under which the voice may be used; needed.")] = "",
    language: Annotated[str | None, typer.Option(help="Language that is spoken, such as nl.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Who will speak: mini (the default), a model directory, or a hub name.")
    ] = None,
    codec: Annotated[str | None, typer.Option(help="Its codec, where it is not the model's own.")] = None,
    recogniser: Annotated[
        str, typer.Option(help="Who listens: mini, a directory, or a Whisper on the hub.")
    ] = "mini",
    folder: Folder = None,
) -> None:
    """Save a voice as one file: a clip, what is said in it, its licence, and the consent of who speaks."""
    from rosella import audio
    from rosella.speak import VoiceShelf, make_voice
    from rosella.speak.voices import require_leave, require_length

    shelf = VoiceShelf(folder)
    shelf.require_free(name)
    require_leave(licence, consent)
    require_length(audio.probe(clip).duration)
    spoken = read_clip(clip, text, recogniser, language)
    config, loaded = _speaks_with(model, codec)
    voice = make_voice(spoken, loaded, licence=licence, consent=consent, language=language)
    room = f"; after it the model has room for {_room(voice, config)}" if config else ""
    path = shelf.save(name, voice)
    print(shown(f"{path}: {voice.seconds:.1f} s{room}."))
    print(f"{'Said' if text else 'Heard (if that is wrong, save it with --text)'}: {shown(voice.text)}")


def show_all(folder: Folder = None) -> None:
    """List the voices that are saved."""
    from rosella.speak import VoiceShelf

    shelf = VoiceShelf(folder)
    names = shelf.names()
    if not names:
        print(shown(f"There is no voice in {shelf.folder}: save one with rosella voice save NAME CLIP."))
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:<{width}}  {shown(_in_short(shelf, name))}")


def show(name: Name, folder: Folder = None) -> None:
    """Show what is known of a voice."""
    from rosella.speak import VoiceShelf

    shelf = VoiceShelf(folder)
    voice = shelf.get(name)
    codec = voice.codec
    facts = {
        "said": voice.text,
        "length": f"{voice.seconds:.1f} s",
        "language": voice.language or "not known",
        "licence": voice.licence,
        "consent": voice.consent,
        "codec": f"{codec.fingerprint}, {codec.num_codebooks} codebooks at {codec.sample_rate / 1000:g} kHz",
        "made": f"{voice.made:%Y-%m-%d %H:%M %Z} with rosella {voice.version}",
        "file": str(shelf.path(name)),
    }
    for fact, value in facts.items():
        print(f"{fact:<10}{shown(value)}")


def remove(name: Name, folder: Folder = None) -> None:
    """Remove a voice for good."""
    from rosella.speak import VoiceShelf

    shelf = VoiceShelf(folder)
    shelf.remove(name)
    print(shown(f"{name} is removed from {shelf.folder}."))


def find_voices(named: Sequence[str], texts: Sequence[str]) -> Voices | None:
    """What `--voice` and `--voice-text` mean: nothing, one voice, or one for each speaker.

    A transcript that a recogniser wrote is shown on standard error.
    """
    spoken = _by_speaker("--voice", named)
    said = _by_speaker("--voice-text", texts, whole="" in spoken)
    for speaker in said.keys() - spoken.keys():
        if spoken and not speaker:
            raise UserError("--voice-text names no speaker: write --voice-text S1=..., as with --voice.")
        whose = f" {speaker}=..." if speaker else ""
        raise UserError(
            f"--voice-text{whose} needs --voice{whose}: give the clip and exactly what is said in it."
        )
    voices = {speaker: _find(value, said.get(speaker)) for speaker, value in spoken.items()}
    return voices.get("", voices or None)


def read_clip(clip: Path, text: str | None, recogniser: str = "mini", language: str | None = None) -> Voice:
    """The clip and what is said in it, which a recogniser writes down where `text` is None."""
    from rosella import audio
    from rosella.evaluate import reading
    from rosella.speak import Voice

    info = audio.probe(clip)
    if text is None:
        heard = reading.write_down(reading.reader(recogniser), info.heard(clip), info.duration, language)
        if heard.doubt:
            raise UserError(
                f"The recogniser cannot write down {clip} ({heard.doubt}): say yourself what is said in it "
                "(--text, or --voice-text), or name a recogniser that can (rosella voice save --recogniser)."
            )
        text = heard.text
    return Voice(audio.decode(info.heard(clip)), info.sample_rate, text)


def _by_speaker(option: str, values: Sequence[str], whole: bool = False) -> dict[str, str]:
    """Values by the speakers they name, as in `S1=anna`; one that names none, or is taken `whole`, under ""."""
    found: dict[str, str] = {}
    for value in values:
        match = None if whole else _FOR_SPEAKER.fullmatch(value)
        speaker, value = match.groups() if match else ("", value)
        if speaker in found:
            whose = (
                f"once for {speaker}" if speaker else f"with its speaker ({option} S1=... {option} S2=...)"
            )
            raise UserError(f"{option} is given twice: give each {whose}.")
        found[speaker] = value
    if "" in found and len(found) > 1:
        raise UserError(
            f"{option} {found['']} names no speaker beside others: write {option} S1=... for each."
        )
    return found


def _find(named: str, text: str | None) -> AnyVoice:
    """A saved voice by its name, one in a file, or a clip."""
    from rosella.speak import read_voice_file
    from rosella.speak.voices import SUFFIX, VoiceShelf, is_name

    shelf = VoiceShelf()
    saved = is_name(named) and (named in shelf.names() or not Path(named).exists())
    if not saved and not named.endswith(SUFFIX):
        clip = read_clip(Path(named), text)
        if text is None:
            print(shown(f"Heard in {named} (correct it with --voice-text): {clip.text}"), file=sys.stderr)
        return clip
    if text is not None:
        raise UserError(f"The voice {named} was saved with what is said in it: leave out --voice-text.")
    return shelf.get(named) if saved else read_voice_file(Path(named))


def _speaks_with(model: str | None, codec: str | None) -> tuple[DiaConfig | None, Codec]:
    """The codec that codes are for, and the model that is to speak where it is known."""
    from rosella.codec import load_codec
    from rosella.speak.speaker import codec_of
    from rosella.weights.homes import open_home

    if model is None and codec is not None:
        return None, load_codec(codec)
    config = open_home(model or "mini").config
    loaded = codec_of(model or "mini", config, codec)
    config.require(loaded)
    return config, loaded


def _room(voice: SavedVoice, config: DiaConfig) -> str:
    """What a model has room for after the voice, as words; UserError where that is nothing."""
    from rosella.speak.clips import bytes_after, room_after

    rate = voice.codec.frame_rate
    seconds = room_after(len(voice.codes), config, rate) / rate
    letters = bytes_after(voice.text, config.encoder.max_position_embeddings)
    return f"{seconds:.1f} s and {letters} bytes of text"


def _in_short(shelf: VoiceShelf, name: str) -> str:
    try:
        voice = shelf.get(name)
    except UserError as error:
        return str(error)
    return f"{voice.seconds:4.1f} s  {voice.language or '-'}  {voice.licence}  {voice.consent}"
