"""Text for the embedded family: sentences from a small grammar (the seen words), and word strings from frequency lists."""

from __future__ import annotations

import random
import zlib
from functools import cache

GRAMMAR = {
    "en": {
        "subject": "the old man|the small dog|my sister|a young girl|the teacher|our neighbour|the black cat|her brother|the doctor|"
        "a tall woman|the farmer|your friend|the happy child|my father|the baker|a quiet boy|the singer|his mother",
        "verb": "finds|carries|paints|sells|wants|watches|brings|loses|hides|needs|likes|throws|cleans|breaks|buys|takes|opens|remembers",
        "object": "a red apple|the green book|some fresh bread|the heavy box|a blue umbrella|the yellow flower|two silver keys|a wooden chair|"
        "the broken clock|seven lemons|a warm coat|the white paper|three brown eggs|an orange balloon|the golden ring|a cup of tea|the long letter|five small stones",
        "place": "in the garden|near the river|behind the house|under the bridge|at the station|on the table|in the kitchen|by the window|"
        "across the street|at school|on the boat|in the forest",
        "time": "every morning|on monday|before dinner|after the rain|last night|this summer|at noon|next week|on sunday|during the winter",
        "open": "well|yes|no|maybe|listen|of course|right|okay",
        "remark": "what a lovely day|i really do not know|that sounds good to me|we should go home now|please come with us|"
        "it was very cold outside|nobody told me about it|can you hear the music|let us begin again|where did you put it",
        "filler": "uh|uhm|well",
    },
    "nl": {
        "subject": "de oude man|de kleine hond|mijn zus|een jong meisje|de leraar|onze buurman|de zwarte kat|haar broer|de dokter|"
        "een lange vrouw|de boer|jouw vriend|het vrolijke kind|mijn vader|de bakker|een stille jongen|de zanger|zijn moeder",
        "verb": "vindt|draagt|schildert|verkoopt|wil|bekijkt|brengt|verliest|verstopt|zoekt|bewaart|gooit|wast|breekt|koopt|neemt|opent|vergeet",
        "object": "een rode appel|het groene boek|wat vers brood|de zware doos|een blauwe paraplu|de gele bloem|twee zilveren sleutels|een houten stoel|"
        "de kapotte klok|zeven citroenen|een warme jas|het witte papier|drie bruine eieren|een grote ballon|de gouden ring|een kop thee|de lange brief|vijf kleine stenen",
        "place": "in de tuin|bij de rivier|achter het huis|onder de brug|op het station|op de tafel|in de keuken|naast het raam|"
        "aan de overkant|op school|op de boot|in het bos",
        "time": "elke morgen|op maandag|voor het eten|na de regen|gisteren avond|deze zomer|rond de middag|volgende week|op zondag|tijdens de winter",
        "open": "nou|ja|nee|misschien|luister|natuurlijk|precies|goed",
        "remark": "wat een mooie dag|ik weet het echt niet|dat klinkt goed|we moeten nu naar huis|kom maar met ons mee|"
        "het was buiten erg koud|niemand heeft het verteld|kun je de muziek horen|laten we opnieuw beginnen|waar heb je het gelaten",
        "filler": "eh|uhm|nou ja",
    },
    "de": {
        "subject": "der alte Mann|der kleine Hund|meine Schwester|ein junges Mädchen|die Lehrerin|unser Nachbar|die schwarze Katze|"
        "ihr Bruder|der Arzt|eine große Frau|dein Freund|die Bäckerin|mein Vater|seine Mutter",
        "verb": "findet|trägt|malt|verkauft|sucht|bringt|kauft|putzt|versteckt|nimmt|zeigt|mag",
        "object": "einen roten Apfel|das grüne Buch|frisches Brot|die schwere Kiste|einen blauen Schirm|die gelbe Blume|zwei silberne Schlüssel|"
        "die kaputte Uhr|sieben Zitronen|einen warmen Mantel|das weiße Papier|drei braune Eier",
        "place": "im Garten|am Fluss|hinter dem Haus|unter der Brücke|am Bahnhof|in der Küche|neben dem Fenster|im Wald",
        "time": "jeden Morgen|am Montag|vor dem Essen|nach dem Regen|heute Abend|diesen Sommer",
        "open": "ja|nein|vielleicht|natürlich|hör mal|genau",
        "remark": "was für ein schöner Tag|das weiß ich wirklich nicht|das klingt gut|wir müssen jetzt nach Hause|komm doch mit uns|"
        "draußen war es sehr kalt",
        "filler": "äh|ähm|also",
    },
}
PATTERNS = (
    ("subject", "verb", "object"),
    ("subject", "verb", "object", "place"),
    ("subject", "verb", "object", "time"),
    ("open", "subject", "verb", "object"),
    ("remark",),
    ("open", "remark"),
    ("filler", "subject", "verb", "object"),
    ("remark", "time"),
)
WEIGHTS = (5, 4, 3, 3, 1, 2, 2, 1)
LISTED = 12_000
UNHEARD = 10  # one listed word in ten is never trained on


def seen_words(language: str) -> set[str]:
    return {word for phrases in GRAMMAR[language].values() for word in phrases.replace("|", " ").split()}


def grammar_sentence(language: str, random: random.Random, held_out: bool = False) -> str:
    """A sentence of seen words, such as `Maybe, the baker hides two silver keys.`; from the held-out share or the rest."""
    while is_held_out(sentence := _grammar_sentence(language, random)) != held_out:
        pass
    return sentence


def is_held_out(sentence: str) -> bool:
    """One sentence in twenty is never trained on; fixed remarks, too few to spare any, always are."""
    fixed = any(
        remark in sentence.lower() for part in GRAMMAR.values() for remark in part["remark"].split("|")
    )
    return not fixed and zlib.crc32(sentence.encode()) % 20 == 0


def _grammar_sentence(language: str, random: random.Random) -> str:
    pattern = random.choices(PATTERNS, WEIGHTS)[0]
    phrases = [random.choice(GRAMMAR[language][slot].split("|")) for slot in pattern]
    if pattern[0] in ("open", "filler"):
        phrases[0] += ","
    return written(" ".join(phrases))


@cache
def listed_words(language: str, heard: bool) -> list[str]:
    """The most frequent words of a language; `heard` words are trained on, the others are for the open-vocabulary score."""
    from wordfreq import top_n_list

    seen = {word.lower() for word in seen_words(language)}
    words = [word for word in top_n_list(language, LISTED) if word.isalpha() and len(word) > 2]
    return [word for index, word in enumerate(words) if (index % UNHEARD != 0) == heard and word not in seen]


def word_string(words: list[str], random: random.Random) -> str:
    """Three to six unrelated words: what makes the model learn spelling rather than sentences."""
    return written(" ".join(random.sample(words, random.randint(3, 6))))


def brief(language: str, words: list[str], random: random.Random) -> str:
    """What people say in a word or two, such as `Of course!`, with any mark behind it or none."""
    answer = random.choice(GRAMMAR[language]["open"].split("|"))
    said = random.choice((answer, *(" ".join(random.sample(words, count)) for count in (1, 1, 2))))
    return said[0].upper() + said[1:] + random.choice((".", ".", "!", "?", ""))


def written(words: str) -> str:
    return words[0].upper() + words[1:] + "."
