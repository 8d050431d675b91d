"""How well a model speaks, and how it learnt to, as one HTML page: a function a section."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from rosella import audio
from rosella.evaluate.intelligibility import SAMPLE_RATE
from rosella.evaluate.speaking import ModelEvaluation
from rosella.evaluate.summary import ClipScore, Interval, gains
from rosella.files import write_text
from rosella.measures import SPEECH, Measure
from rosella.numbers import DASH, counted, percent
from rosella.report import figures, page
from rosella.report.facts import CorpusFacts, RecordingFacts, Story, TrainingFacts
from rosella.report.page import Html, element, join, paragraph, section, table
from rosella.speak import provenance

SPECTROGRAM_SENTENCES = 2


def write_page(story: Story, path: Path) -> None:
    """Draw the page and write it to `path`."""
    write_text(path, draw(story))


def draw(story: Story) -> str:
    """The page as text. It refers to nothing outside itself."""
    parts = [paragraph(" ".join(_sentences(story)), "lead")]
    if story.before:
        parts.append(_heard_first(story, story.before))
    parts += [_tiles(story), _scores(story)]
    if story.training:
        parts.append(_training(story.training))
    if story.corpus:
        parts.append(_corpus(story.corpus))
    parts += [_listen(story), _spectrograms(story)]
    if story.steps:
        parts.append(_steps(story))
    if story.next_steps:
        parts.append(_next_steps(story))
    return page.render(_title(story), [*parts, _footer(story)])


def _title(story: Story) -> str:
    if story.corpus:
        return "From a podcast to a model that speaks"
    against = f", beside {story.before.model}" if story.before else ""
    return f"How well {story.after.model} speaks{against}"


def _sentences(story: Story) -> Iterable[str]:
    """What happened, in plain words."""
    if story.about:
        yield story.about
    if story.corpus:
        seconds = story.corpus.utterance_seconds
        recordings = counted(len(story.corpus.recordings), "recording")
        yield f"Rosella took {recordings}, cut {sum(seconds) / 60:.1f} minutes of talk"
        yield f"into {counted(len(seconds), 'utterance')} and turned them into codes."
    if story.training:
        yield f"A small speaking model was fine-tuned on them for {story.training.steps:,} steps."
    summary, count, sentences = story.after.summary, len(story.after.clips), len(story.yardstick.spoken)
    often = f", {count // sentences} times each" if count > sentences else ""
    said = f"The model then said {counted(sentences, 'sentence')} it was never trained on{often}"
    yield f"{said}: {_read_back(story) if 'wer' in summary else _told_apart(story)}"


def _read_back(story: Story) -> str:
    """How much a recogniser misheard: of the model, of what it was before, of the recordings."""
    summary = story.after.summary
    before = ""
    if story.before:
        before = f"{_then(story, story.before)}: {_percent(story.before.summary.get('wer'))}; "
    recorded = f"of the recordings through the codec: {_percent(summary['wer_round_trip'])}"
    return f"a recogniser got {_percent(summary['wer'])} of its words wrong ({before}{recorded})."


def _told_apart(story: Story) -> str:
    summary, count = story.after.summary, len(story.after.clips)
    hits = f"{summary['retrieval_hits']:.0f} of {count} can be told from all others by their sound"
    if story.before:
        then = f"{story.before.summary['retrieval_hits']:.0f} of {len(story.before.clips)}"
        return f"{hits} ({_then(story, story.before)}: {then})."
    return f"{hits} (guessing would give {_percent(summary['retrieval_chance'])})."


def _then(story: Story, before: ModelEvaluation) -> str:
    return "before the fine-tuning" if story.training else before.model


def _tiles(story: Story) -> Html:
    summary = story.after.summary
    chance = _percent(summary["retrieval_chance"])
    shown = [
        (
            _percent(summary["retrieval"]),
            f"of the sentences understood; guessing gives {chance}",
            "retrieval",
        ),
        (_percent(summary.get("wer")), "of the words wrong, read back by a recogniser", "wer"),
        (_percent(summary.get("voice_right")), "of the clips in the right voice", "voice_right"),
        (_percent(summary["stopped"]), "stopped by themselves", "stopped"),
        (
            f"{summary['length_ratio']:.2f} ×",
            "as long as the reference, pauses at the ends apart",
            "length_ratio",
        ),
    ]
    return page.tiles(
        (value, f"{meaning}{_before(story, key)}") for value, meaning, key in shown if value != DASH
    )


def _before(story: Story, key: str) -> str:
    """What it was, where there was a before."""
    if story.before is None:
        return ""
    (measure,) = (measure for measure in SPEECH if measure.key == key)
    return f"; before {measure.shown(story.before.summary.get(key))}"


def _scores(story: Story) -> Html:
    headings = ["score", "value"] if story.before is None else ["score", "before", "after", "gain"]
    nearer = {} if story.before is None else _gains(story.before, story.after)
    rows = [_score_row(measure, story, nearer.get(measure.key)) for measure in SPEECH]
    kind = "scores" if story.before is None else "scores compared"
    return section("Scores", element("div", table(headings, rows), kind), _controls(story.after))


def _gains(before: ModelEvaluation, after: ModelEvaluation) -> dict[str, Interval]:
    return gains(before.clips, after.clips, (before.seeds, after.seeds))


def _score_row(measure: Measure, story: Story, within: Interval | None) -> list[object]:
    name = join([measure.name, element("span", measure.meaning, "who")])
    after = story.after.summary.get(measure.key)
    if story.before is None:
        return [name, _value(measure, story.after)]
    before = story.before.summary.get(measure.key)
    gain = _gain(measure, before, after, within)
    return [name, _value(measure, story.before), _value(measure, story.after), gain]


def _value(measure: Measure, evaluation: ModelEvaluation) -> Html:
    """A score above its interval."""
    within = measure.between(evaluation.intervals.get(measure.key))
    shown = _number(measure.shown(evaluation.summary.get(measure.key)))
    return join([shown, element("span", within, "who")]) if within else shown


def _number(shown: str) -> Html:
    return element("span", shown, "number")


def _gain(measure: Measure, before: float | None, after: float | None, within: Interval | None) -> Html:
    """How much nearer to the ideal, above its interval: green where all of that is nearer, red where all is further away."""
    if before is None or after is None or within is None or math.isnan(before) or math.isnan(after):
        return _number(DASH)
    low, high = within
    kind = "good" if low > 0 else "bad" if high < 0 else ""
    shown = element("span", measure.difference(measure.nearer(before, after)), f"number {kind}".strip())
    between = f"{measure.difference(low).split()[0]} to {measure.difference(high).split()[0]}"
    return join([shown, element("span", between, "who")])


def _controls(evaluation: ModelEvaluation) -> Html:
    summary = evaluation.summary
    below = (
        "Below a score stands its 95 % interval over sentences and seeds, and a gain has a colour where all of its own "
        "is a gain, or a loss. "
        if evaluation.intervals
        else ""
    )
    return paragraph(
        f"{below}Controls of “understood”: the references themselves, sent through the codec, reach "
        f"{_percent(summary['retrieval_round_trip'])}, which is what a perfect model could reach. Scored "
        f"against a wrong sentence, the model reaches {_percent(summary['retrieval_shuffled_text'])}; "
        f"guessing gives {_percent(summary['retrieval_chance'])}. The codec's own intelligibility (STOI of "
        f"the round trip, 0 to 1) is {summary['codec_stoi']:.2f}.{_reader(summary, evaluation.facts)}",
        "note",
    )


def _reader(summary: Mapping[str, float], facts: Mapping[str, str]) -> str:
    if "wer_round_trip" not in summary:
        return ""
    errors = _percent(summary["wer_round_trip"])
    return f" The recogniser{_named(facts)} has {errors} word errors on the references through the codec."


def _named(facts: Mapping[str, str]) -> str:
    if not facts.get("recogniser"):
        return ""
    return f" {facts['recogniser']} ({facts['recogniser_version']}; {facts['normaliser']})"


def _heard_first(story: Story, before: ModelEvaluation) -> Html:
    """The first sentence before, after and as it was recorded."""
    clip, index = story.after.clips[0], story.yardstick.spoken[0]
    reference = page.player(
        join([element("b", "reference"), " · as it was recorded"]),
        story.yardstick.references[index],
        story.yardstick.sample_rate,
    )
    players = [_generated("before", before, 0), _generated("after", story.after, 0), reference]
    heading = element("h3", join([clip.text, element("span", _who(clip), "who")]))
    return element("article", join([heading, element("div", join(players), "players")]), "card")


def _who(clip: ClipScore) -> str:
    return ", ".join(part for part in (clip.speaker, clip.language) if part)


def _listen(story: Story) -> Html:
    intro = paragraph(
        "No sentence here was in the training data. The codec round trip is the best a model could sound; "
        "“understood” means that the right reference is the nearest one.",
        "note",
    )
    return section("Listen", intro, *[_card(story, row) for row in range(len(story.yardstick.spoken))])


def _card(story: Story, row: int) -> Html:
    clip, index = story.after.clips[row], story.yardstick.spoken[row]
    rate = story.yardstick.sample_rate
    players = [
        page.player("reference", story.yardstick.references[index], rate),
        page.player("codec round trip", story.yardstick.round_trips[row], rate),
    ]
    if story.before:
        players.append(_generated("before", story.before, row))
    players.append(_generated("after" if story.before else "generated", story.after, row))
    heading = element("h3", join([clip.text, element("span", _who(clip), "who")]))
    return element("article", join([heading, element("div", join(players), "players")]), "card")


def _generated(label: str, evaluation: ModelEvaluation, row: int) -> Html:
    clip = evaluation.clips[row]
    caption = join([element("b", label), " · ", _verdict(clip)])
    comment = provenance.marks(evaluation.model)["comment"]
    return page.player(caption, evaluation.waves[clip.id], evaluation.sample_rate, comment)


def _verdict(clip: ClipScore) -> Html:
    if clip.heard is None:
        return _ending(clip)
    return join([_ending(clip), element("div", f"heard: {clip.heard or 'nothing'}", "who")])


def _ending(clip: ClipScore) -> Html:
    if not clip.stopped:
        return element("span", "did not stop", "bad")
    if clip.rank == 1:
        return element("span", "understood", "good")
    return element("span", f"rank {clip.rank} of {clip.candidates}", "bad")


def _corpus(corpus: CorpusFacts) -> Html:
    headings = ["recording", "speakers", "language", "utterances", "seconds"]
    rows = [_recording(facts) for facts in corpus.recordings]
    total = ["all", "", "", len(corpus.utterance_seconds), sum(corpus.utterance_seconds)]
    rejects = "; ".join(f"{count} × {reason}" for reason, count in corpus.rejects.items()) or "nothing"
    note = paragraph(f"Rejected on the way: {rejects}.", "note")
    histogram = figures.histogram(corpus.utterance_seconds, "seconds", "utterances")
    heard = [
        paragraph(
            f"{facts.name} came as audio alone: {counted(facts.voices, 'voice')} heard, "
            f"{_percent(facts.wer)} of the words written down wrong, missing or too many.",
            "note",
        )
        for facts in corpus.heard
    ]
    plot = page.figure(histogram, "Length of the utterances.")
    return section("The corpus", table(headings, rows, total), *heard, note, plot)


def _recording(facts: RecordingFacts) -> list[object]:
    return [facts.name, ", ".join(facts.speakers), facts.language, facts.utterances, facts.seconds]


def _training(training: TrainingFacts) -> Html:
    caption = (
        "Cross-entropy of each codebook while fine-tuning: lines on the training data, dots on utterances "
        "kept apart. The first codebook carries the words, the last the finest detail."
    )
    curves = figures.loss_curves(training.train, training.validation)
    return section("The training", page.figure(curves, caption, "wide"))


def _spectrograms(story: Story) -> Html:
    shown = [
        _spectrogram(story, row) for row in range(min(SPECTROGRAM_SENTENCES, len(story.yardstick.spoken)))
    ]
    return section("How it looks", *shown)


def _spectrogram(story: Story, row: int) -> Html:
    clip, index = story.after.clips[row], story.yardstick.spoken[row]
    rate = story.yardstick.sample_rate
    waves = [
        ("reference", story.yardstick.references[index], rate),
        ("codec round trip", story.yardstick.round_trips[row], rate),
    ]
    named = (
        [("before", story.before), ("after", story.after)] if story.before else [("generated", story.after)]
    )
    waves += [(name, item.waves[clip.id], item.sample_rate) for name, item in named if item]
    panels = [(name, audio.resample(wave, rate, SAMPLE_RATE)) for name, wave, rate in waves]
    return page.figure(figures.spectrograms(panels), f"{clip.text} ({clip.speaker or 'no voice given'})")


def _steps(story: Story) -> Html:
    rows = [
        [join([step.title, element("span", element("code", step.command), "who")]), step.seconds]
        for step in story.steps
    ]
    total = ["all", sum(step.seconds for step in story.steps)]
    return section(
        "What was done", table(["step, and the command that does the same", "seconds"], rows, total)
    )


def _next_steps(story: Story) -> Html:
    blocks = [join([paragraph(purpose), element("pre", command)]) for purpose, command in story.next_steps]
    return section("How to go on", *blocks)


def _footer(story: Story) -> Html:
    made = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    facts = " · ".join(f"{name} {value}" for name, value in story.machine.items())
    return element("footer", paragraph(f"Made {made} · {facts}", "soft"))


def _percent(share: float | None) -> str:
    return percent(share, space="\N{NO-BREAK SPACE}")
