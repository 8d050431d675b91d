"""The demo podcast: German dialogues of four synthetic speakers, and sentences in their voices that nobody trains on.

A third of the episodes comes with its transcripts, the others as audio alone. Script notation: `clean words {what is
heard but not meant} [written|spoken]`. The verbatim transcript keeps what is in braces, the clean one leaves it out;
`[a|b]` writes a and speaks b.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from mini.espeak import Espeak, Voice
from mini.sentences import GRAMMAR, grammar_sentence
from mini.speech import SYNTHETIC, Turn, write_recording, write_sentences

LANGUAGE = "de"
SPEAKERS = {
    "anna": Voice("de+f5", 165, 55, 60),
    "bernd": Voice("de+m7", 155, 45, 60),
    "clara": Voice("de+belinda", 165, 55, 60),
    "daniel": Voice("de+Reed", 155, 45, 60),
}
EPISODES = {
    "garten": ("anna", "bernd"),
    "fluss": ("clara", "daniel"),
    "haus": ("bernd", "clara"),
    "bruecke": ("daniel", "anna"),
    "bahnhof": ("anna", "clara"),
    "kueche": ("bernd", "daniel"),
    "schule": ("clara", "anna"),
    "dorf": ("daniel", "bernd"),
    "regen": ("anna", "daniel"),
}
TRANSCRIBED = ("garten", "fluss", "haus")
"""The others lie in `audio/`; what is said in them is in `said.jsonl`, to judge by."""

TURNS = 42  # of an episode, between its opening and its end
SENTENCES = 12  # per speaker, of which half are spoken in the demo
DIALOGUES = 2  # per transcribed episode, by its speakers
FILLER, STUTTER, LAUGH, QUESTION = 0.25, 0.1, 0.08, 0.2  # shares of the turns
FILLERS = ("äh", "ähm")


def build(espeak: Espeak, folder: Path) -> None:
    """Write `manifest.jsonl` with its recordings, `audio/` with those that come alone, and `heldout/` with its own."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    lines = [_recording(espeak, show, folder) for show in EPISODES]
    transcribed = [line for line in lines if line["show"] in TRANSCRIBED]
    _write_lines(folder / "manifest.jsonl", transcribed)
    _write_lines(folder / "said.jsonl", [line for line in lines if line not in transcribed])
    (folder / "heldout").mkdir(exist_ok=True)
    clips = {
        turn["speaker"]: _clip(line, [turn])
        for line in reversed(transcribed)
        for turn in reversed(line["turns"])
        if _plain(turn)
    }
    held_out = [
        *_held_out(espeak, folder / "heldout", clips),
        *(
            line
            for episode in transcribed
            for line in _held_out_dialogues(espeak, folder / "heldout", episode)
        ),
    ]
    _write_lines(folder / "heldout" / "manifest.jsonl", held_out)


def _recording(espeak: Espeak, show: str, folder: Path) -> dict:
    name = f"{show}.opus" if show in TRANSCRIBED else f"audio/{show}.opus"
    turns = [parse(line) for line in script(show)]
    times, _ = write_recording(espeak, [turns], folder / name, sum(show.encode()))
    about = {"show": show, "language": LANGUAGE, **SYNTHETIC}
    return {"audio": name, **about, "turns": times}


def script(show: str) -> list[str]:
    """The lines of an episode, `speaker: sentence`; people pause between sentences too, and go on in their own voice."""
    chance, (host, guest) = random.Random(show), EPISODES[show]
    lines = [
        f"{host}: Willkommen zurück.",
        f"{host}: Heute sind wir {_phrase('place', chance)}.",
        f"{guest}: {{Ähm,}} danke.",
    ]
    speaker, other = host, guest
    while len(lines) < TURNS:
        if chance.random() < QUESTION:
            question, answer = _exchange(chance)
            lines += [f"{speaker}: {question}", f"{other}: {_heard(answer, chance)}"]
        else:
            lines += [f"{speaker}: {_heard(_said(chance), chance)}" for _ in range(chance.choice((1, 2, 3)))]
            speaker, other = other, speaker
    return [*lines, f"{host}: Wir müssen jetzt nach Hause.", f"{guest}: Ja, bis Montag."]


def _phrase(slot: str, chance: random.Random) -> str:
    return chance.choice(GRAMMAR[LANGUAGE][slot].split("|"))


def _exchange(chance: random.Random) -> tuple[str, str]:
    """A question and its answer."""
    subject, verb, thing, place, time = (
        _phrase(slot, chance) for slot in ("subject", "verb", "object", "place", "time")
    )
    question, answer = chance.choice(
        (
            (f"Was {verb} {subject}?", f"{thing}, {place}."),
            (f"Wer {verb} {thing}?", f"{subject}, {time}."),
            (f"Wo {verb} {subject} {thing}?", f"{place}, natürlich."),
            (f"Wann {verb} {subject} {thing}?", f"{time}, vielleicht."),
        )
    )
    return question, answer[0].upper() + answer[1:]


def _said(chance: random.Random) -> str:
    """A sentence without the fillers that the grammar has of its own."""
    fillers = GRAMMAR[LANGUAGE]["filler"].split("|")
    while (sentence := grammar_sentence(LANGUAGE, chance)).split(",")[0].casefold() in fillers:
        pass
    return sentence


def _heard(sentence: str, chance: random.Random) -> str:
    """The sentence with what people add: a filler, a word begun twice, a laugh."""
    words = (sentence[0].lower() + sentence[1:]).split()
    if chance.random() < STUTTER:
        place = chance.randrange(len(words))
        begun = words[place].strip(",.?")
        words[place] = f"{{{begun}, {begun},}} {words[place]}"
    if chance.random() < FILLER:
        words.insert(chance.randrange(len(words)), f"{{{chance.choice(FILLERS)},}}")
    laugh = "[(laughs)|ha ha ha.] " if chance.random() < LAUGH else ""
    heard = " ".join(words)
    first = 1 if heard.startswith("{") else 0
    return laugh + heard[:first] + heard[first].upper() + heard[first + 1 :]


def words(language: str) -> set[str]:
    """What is said in the podcast, if it is in that language: clean words in lower case."""
    turns = [parse(line) for show in EPISODES for line in script(show)] if language == LANGUAGE else []
    return {word.strip(",.?").lower() for turn in turns for word in (turn.clean or "").split()}


def parse(line: str) -> Turn:
    """`gast: {Eh,} dank je wel.` -> the turn with its verbatim, spoken and clean text."""
    speaker, script = line.split(": ", 1)
    heard = re.sub(r"[{}]", "", script)
    written = re.sub(r"\[(.*?)\|.*?\]", r"\1", heard)
    spoken = re.sub(r"\[.*?\|(.*?)\]", r"\1", heard)
    clean = re.sub(r"\s+", " ", re.sub(r"\{.*?\}|\[.*?\]", "", script)).strip()
    return Turn(SPEAKERS[speaker], written, spoken, clean[0].upper() + clean[1:], speaker)


def _plain(turn: dict) -> bool:
    """Fit to show a voice: two to four seconds as they are written."""
    return 2.0 <= turn["end"] - turn["start"] <= 4.0 and turn["text"] == turn["text_clean"]


def _clip(line: dict, turns: list[dict]) -> dict:
    return {
        "audio": f"../{line['audio']}",
        "start": turns[0]["start"],
        "end": turns[-1]["end"],
        "text": _tagged(turn["text"] for turn in turns),
    }


def _tagged(texts: Iterable[str]) -> str:
    return " ".join(f"[S{number}] {said}" for number, said in enumerate(texts, 1))


def _held_out(espeak: Espeak, folder: Path, clips: dict[str, dict]) -> Iterator[dict]:
    for speaker, voice in SPEAKERS.items():
        chance = random.Random(f"held-out {speaker}")
        for index in range(SENTENCES):
            sentence = grammar_sentence(LANGUAGE, chance, held_out=True)
            name = f"{speaker}-{index:02d}.opus"
            write_sentences(espeak, [(sentence, voice)], folder / name)
            about = {"audio": name, "speaker": speaker, "language": LANGUAGE, "text": f"[S1] {sentence}"}
            yield {**about, "voice": clips[speaker], "speak": index < SENTENCES // 2}


def _held_out_dialogues(espeak: Espeak, folder: Path, episode: dict) -> Iterator[dict]:
    """A turn of each of an episode's speakers, shown by two turns of it."""
    pairs = pairwise(episode["turns"])
    shown = next(
        pair for pair in pairs if all(map(_plain, pair)) and pair[0]["speaker"] != pair[1]["speaker"]
    )
    names = [turn["speaker"] for turn in shown]
    chance = random.Random(f"held-out {episode['show']}")
    for index in range(DIALOGUES):
        said = [grammar_sentence(LANGUAGE, chance, held_out=True) for _ in names]
        name = f"{episode['show']}-{index:02d}.opus"
        write_sentences(
            espeak, [(text, SPEAKERS[who]) for text, who in zip(said, names, strict=True)], folder / name
        )
        about = {"audio": name, "speaker": " & ".join(names), "language": LANGUAGE, "text": _tagged(said)}
        yield {**about, "voice": _clip(episode, list(shown))}


def _write_lines(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
