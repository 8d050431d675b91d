"""The demo podcast: six short recordings of four synthetic speakers, and sentences in their voices that nobody trains on.

Script notation: `clean words {what is heard but not meant} [written|spoken]`. The verbatim transcript keeps what is in
braces, the clean one leaves it out; `[a|b]` writes a and speaks b.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

from mini.espeak import Espeak, Voice, noise
from mini.sentences import grammar_sentence
from mini.speech import SAMPLE_RATE, Turn, write_recording
from rosella import audio

SPEAKERS = {
    "gastheer": Voice("nl+m7", 155, 45, 60),
    "gast": Voice("nl+f5", 165, 55, 60),
    "host": Voice("en+Reed", 155, 45, 60),
    "guest": Voice("en+belinda", 165, 55, 60),
}
SENTENCES = 12  # per speaker, of which the first three are spoken in the demo

SCRIPTS = {
    "brood": """
gastheer: Welkom bij de keukentafel. Vandaag praten we over brood.
gast: {Eh,} dank je wel. Ik bak elke morgen vers brood.
gastheer: En, {uhm,} hoe vroeg begin je dan?
gast: {Ik, ik,} ik begin om vijf uur. Dan is het nog donker.
gastheer: Dat is {eh,} heel erg vroeg.
gast: Ja, maar het ruikt zo lekker in de keuken.
gastheer: [(laughs)|ha ha ha.] Dat geloof ik meteen.
gast: Het deeg moet eerst een uur rusten, {uhm,} bij het raam.
gastheer: En wie koopt er al dat brood?
gast: Onze buurman neemt elke dag twee broden mee.
""",
    "regen": """
gastheer: Luister, het regent alweer.
gast: {Nou ja,} ik hou wel van de regen.
gastheer: {Eh,} waarom eigenlijk?
gast: De tuin wordt er {zo, zo,} zo groen van.
gastheer: Mijn kleine hond wil dan niet naar buiten.
gast: [(laughs)|ha ha ha.] Die van mij ook niet.
gastheer: Gisteren zat hij {eh,} de hele dag onder de tafel.
gast: Neem een paraplu mee en loop langs de rivier.
gastheer: Misschien doe ik dat, {uhm,} volgende week.
gast: Na de regen is de lucht het mooist.
""",
    "markt": """
gast: Op zondag gaan we altijd naar de markt.
gastheer: Wat koop je daar dan, {eh,} het liefst?
gast: Een rode appel, {uhm,} en zeven citroenen.
gastheer: {Ze, ze,} zeven? Dat is veel.
gast: Ja, mijn zus maakt er limonade van.
gastheer: En de bakker, staat die er ook?
gast: Natuurlijk, {eh,} naast de man met de bloemen.
gastheer: Dan ga ik zondag met jullie mee.
gast: Kom maar vroeg, want om tien uur is het druk.
gastheer: Precies, dan is het brood op.
""",
    "boats": """
host: Welcome back. Today we talk about boats.
guest: {Uh,} thank you. I built my first boat last summer.
host: {Uhm,} how long did it take you?
guest: {It, it,} it took the whole winter, really.
host: That is a very long time.
guest: Well, {uh,} the wood has to dry behind the house.
host: [(laughs)|ha ha ha.] So you waited for the wood.
guest: Yes, and my brother painted it blue and white.
host: And where does it lie now?
guest: It lies near the river, {uhm,} under the old bridge.
""",
    "music": """
host: Listen, can you hear the music?
guest: {Well,} that is my neighbour. He sings every morning.
host: {Uh,} is he any good?
guest: He is {quite, quite,} quite loud, at least.
host: [(laughs)|ha ha ha.] That is a kind answer.
guest: My sister plays the piano in the kitchen.
host: {Uhm,} a piano in the kitchen?
guest: There was no other room for it, {uh,} in our small house.
host: Maybe we should all play together on sunday.
guest: Please come with us, and bring some fresh bread.
""",
    "garden": """
guest: The garden was very cold this morning.
host: Did you see, {uh,} the black cat on the wall?
guest: Yes, it watches the birds before dinner.
host: {The, the,} the yellow flower is open now.
guest: {Uhm,} I planted five of them near the window.
host: My father wants two lemon trees.
guest: They need a warm place, {uh,} and a lot of water.
host: Then the kitchen window sounds good to me.
guest: Of course. And talk to them, every day.
host: [(laughs)|ha ha ha.] I really do not know about that.
""",
}


AUDIO_ALONE = "garden"
"""The demo gets this recording without its transcript, which lies in `said.jsonl` to judge by."""


def build(espeak: Espeak, folder: Path) -> None:
    """Write `manifest.jsonl` with its recordings, `audio/` with the one that comes alone, and `heldout/` with its own."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    lines = [
        _recording(espeak, f"audio/{name}" if name == AUDIO_ALONE else name, script, folder)
        for name, script in SCRIPTS.items()
    ]
    alone = [line for line in lines if line["show"] == AUDIO_ALONE]
    lines = [line for line in lines if line["show"] != AUDIO_ALONE]
    _write_lines(folder / "manifest.jsonl", lines)
    _write_lines(folder / "said.jsonl", alone)
    (folder / "heldout").mkdir(exist_ok=True)
    clips = {
        turn["speaker"]: _clip(line, turn)
        for line in reversed(lines)
        for turn in reversed(line["turns"])
        if _plain(turn)
    }
    _write_lines(folder / "heldout" / "manifest.jsonl", list(_held_out(espeak, folder / "heldout", clips)))


def _recording(espeak: Espeak, name: str, script: str, folder: Path) -> dict:
    turns = [parse(line) for line in sentences(script)]
    show = Path(name).name
    times, _ = write_recording(espeak, [turns], folder / f"{name}.opus", sum(show.encode()))
    language = turns[0].voice.name.split("+")[0]
    about = {"show": show, "language": language, "licence": "Apache-2.0", "consent": "synthetic speech"}
    return {"audio": f"{name}.opus", **about, "turns": times}


def sentences(script: str) -> list[str]:
    """The lines of a script, a sentence each: people pause between sentences too, and go on in their own voice."""
    lines = (line.split(": ", 1) for line in script.strip().splitlines())
    ends = r"(?<=[.?]) (?=[A-Z{])"
    return [f"{speaker}: {said}" for speaker, text in lines for said in re.split(ends, text)]


def parse(line: str) -> Turn:
    """`gast: {Eh,} dank je wel.` -> the turn with its verbatim, spoken and clean text."""
    speaker, script = line.split(": ", 1)
    heard = re.sub(r"[{}]", "", script)
    written = re.sub(r"\[(.*?)\|.*?\]", r"\1", heard)
    spoken = re.sub(r"\[.*?\|(.*?)\]", r"\1", heard)
    clean = re.sub(r"\s+", " ", re.sub(r"\{.*?\}|\[.*?\]", "", script)).strip()
    return Turn(SPEAKERS[speaker], written, spoken, clean[0].upper() + clean[1:], speaker)


def _plain(turn: dict) -> bool:
    """Fit to show a voice: two to four seconds without laughter."""
    return 2.0 <= turn["end"] - turn["start"] <= 4.0 and "(" not in turn["text"]


def _clip(line: dict, turn: dict) -> dict:
    return {
        "audio": f"../{line['audio']}",
        "start": turn["start"],
        "end": turn["end"],
        "text": f"[S1] {turn['text']}",
    }


def _held_out(espeak: Espeak, folder: Path, clips: dict[str, dict]):
    for speaker, voice in SPEAKERS.items():
        language, chance = voice.name.split("+")[0], random.Random(f"held-out {speaker}")
        for index in range(SENTENCES):
            sentence = grammar_sentence(language, chance, held_out=True)
            name = f"{speaker}-{index:02d}.opus"
            wave = audio.normalise_loudness(espeak.say(sentence, voice), SAMPLE_RATE)
            audio.write(folder / name, wave + noise(len(wave), index), SAMPLE_RATE)
            about = {"audio": name, "speaker": speaker, "language": language, "text": f"[S1] {sentence}"}
            yield {**about, "voice": clips[speaker], "speak": index < 3}


def _write_lines(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
