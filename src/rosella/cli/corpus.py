"""`rosella corpus`: from recordings with transcripts to shards of codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rosella.cli import corpus_operate
from rosella.cli.corpus_options import CatalogueUrl, Directory
from rosella.cli.corpus_work import work
from rosella.cli.progress import corpus_progress
from rosella.corpus.export.balance import Balance
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.corpus.catalogue.status import Status
    from rosella.corpus.engines.local import Ran
    from rosella.corpus.plan import Planned
    from rosella.corpus.project import Corpus
    from rosella.corpus.workers.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
SHOWN = 10


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Collect recordings and turn them into training data.", no_args_is_help=True)
    for name, verb in (
        ("add", add),
        ("run", run),
        ("status", status),
        ("retry", retry),
        ("export", export),
        ("report", report),
    ):
        group.command(name)(verb)
    group.command("work")(work)
    corpus_operate.register(group)
    app.add_typer(group, name="corpus")


def add(
    source: Annotated[
        str,
        typer.Argument(
            help="Audio files, with subtitles beside them or without: a file, folder, 'glob', list or gs:// or s3:// "
            "prefix; or a manifest or data set."
        ),
    ],
    corpus: Directory,
    show: Annotated[str | None, typer.Option(help="The show the recordings belong to.")] = None,
    language: Annotated[str | None, typer.Option(help="Their language, such as nl.")] = None,
    licence: Annotated[str | None, typer.Option(help="Their licence.")] = None,
    consent: Annotated[str | None, typer.Option(help="What the speakers agreed to.")] = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Add recordings; options hold where the source itself says nothing."""
    from rosella.corpus.project import Corpus
    from rosella.corpus.sources.read import read_source
    from rosella.errors import UserError

    other: list[str] = []
    # before the directory is made: a bad source leaves nothing behind
    entries = read_source(source, other.append)
    facts = {"show": show, "language": language, "licence": licence, "consent": consent}
    with Corpus.open(corpus, catalogue, create=True) as opened, corpus_progress() as progress:
        added = opened.add_entries(entries, progress, **facts)
    good = added.added + added.updated + added.unchanged + added.duplicate
    if added.failed and not good:
        raise UserError(_all_failed(added.failed))
    print(
        f"{added.added} added, {added.updated} updated, {added.unchanged} unchanged, "
        f"{added.duplicate} duplicates, {len(added.failed)} failed"
    )
    _print_failed(added.failed)
    _print_other(other)


def run(
    corpus: Directory,
    codec: Annotated[str, typer.Option(help="mini, a codec directory, or a DAC by its hub name.")] = "mini",
    max_seconds: Annotated[float, typer.Option(min=0.1, max=30.0, help="Longest utterance.")] = 30.0,
    skip: Annotated[
        float, typer.Option(min=0.0, help="Seconds to leave out at both ends of every recording.")
    ] = 0.0,
    recogniser: Annotated[
        str | None,
        typer.Option(
            help="Writes what is said where no transcript came: a directory or a Whisper's name (default: the last run's)."
        ),
    ] = None,
    clean_recogniser: Annotated[
        str | None, typer.Option(help="Another for the clean transcripts, if the first writes none.")
    ] = None,
    diarizer: Annotated[
        str, typer.Option(help="Tells who speaks when: embedded, or a pyannote pipeline by name or folder.")
    ] = "embedded",
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the models run: cpu, cuda:0 … (default: the best); several times, a process for each."
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "queue"], typer.Option(help="queue: share the work with `rosella corpus work`.")
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the work, and do none of it.")] = False,
    catalogue: CatalogueUrl = None,
) -> None:
    """Cut recordings into utterances, transcribe and encode them; what is done is skipped."""
    from rosella.cli.corpus_work import load_models
    from rosella.corpus.project import Corpus
    from rosella.corpus.workers.known import known_models
    from rosella.corpus.workers.settings import Settings, last_recognisers

    with Corpus.open(corpus, catalogue) as opened:
        wordless = opened.catalogue.untranscribed()
        if recogniser is None:
            recogniser, clean_recogniser = last_recognisers(opened.catalogue)
        if wordless and recogniser is None:
            print("Some recordings came without transcripts: they wait for --recogniser.", file=sys.stderr)
        settings = Settings(codec, max_seconds, skip, recogniser, clean_recogniser, diarizer, wordless)
        devices, known = device or [None], known_models(opened.catalogue, settings)
        if dry_run:
            _print_planned(opened.plan(known or load_models(settings, devices[0])))
            return
        if known and not opened.is_due(known):
            print("Nothing to do: what can be done is done.")
            _print_still_failed(opened.catalogue.failed())
            return
        ran = _work(opened, catalogue, settings, devices, engine)
        after = opened.catalogue.status()
    _print_ran(ran, after)


def _work(
    opened: Corpus,
    catalogue: str | None,
    settings: Settings,
    devices: Sequence[str | None],
    engine: Literal["local", "queue"],
) -> Ran:
    from rosella.cli.corpus_work import exiting_as_workers, load_models
    from rosella.corpus.workers.devices import run_local
    from rosella.corpus.workers.worker import run_queue

    with exiting_as_workers(), corpus_progress() as progress:
        if engine == "queue":
            return run_queue(opened, settings, devices, load_models, progress)
        return run_local(opened, catalogue, settings, devices, load_models, progress)


def status(corpus: Directory, catalogue: CatalogueUrl = None, as_json: Json = False) -> None:
    """Show how far every stage is, what was rejected and what failed."""
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        found = opened.status()
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if as_json else _status_text(found))


def retry(
    corpus: Directory,
    name: Annotated[str | None, typer.Argument(help="Path, file name or id; all without it.")] = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Make failed recordings pending again; the next run takes them."""
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        retried = opened.retry(name)
        still = {failure["path"]: failure["reason"] for failure in opened.catalogue.failed()}
    print(f"{len([path for path in retried if path not in still])} of {len(retried)} pending again")
    _print_failed([(path, still[path]) for path in retried if path in still])


def export(
    corpus: Directory,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only what is so: language=nl, consent!=no, confidence>=-0.05; all of several."),
    ] = None,
    temper: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Draw rare speakers more often; 0 as they come, 1 all alike."),
    ] = Balance.temper,
    beta: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.99999, help="Count rare speakers more: 0.99 to 0.9999, by effective number."
        ),
    ] = Balance.beta,
    mix: Annotated[
        Path | None,
        typer.Option(
            help="Another export to mix in, lest what it holds be forgotten: half of what is drawn."
        ),
    ] = None,
    catalogue: CatalogueUrl = None,
    as_json: Json = False,
) -> None:
    """Write the shards that training reads, with weights by speaker."""
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened, corpus_progress() as progress:
        exported = opened.export(progress, where or (), Balance(temper, beta), mix)
        found = opened.status()
    if exported.doubtful:
        _warn_of_guesses(found)
    if as_json:
        print(json.dumps(asdict(exported), indent=2))
        return
    print(
        f"{exported.utterances} utterances ({exported.validation} for validation), "
        f"{exported.hours * 60:.1f} minutes, "
        f"{exported.shards} shards ({exported.written} new), {exported.bytes / 1e6:.1f} MB"
    )
    if exported.doubtful:
        print(
            f"left out: {exported.doubtful} utterances at which the recogniser guessed; "
            "--where 'confidence>=-9' takes them too"
        )


def report(
    corpus: Directory,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page (default: DIR/report.html).")
    ] = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Write a page that shows the corpus: how much, of whom, how sure, what was left out, samples to hear."""
    from rosella.corpus.project import Corpus
    from rosella.report.corpus import write_page

    page = out or corpus / "report.html"
    with Corpus.open(corpus, catalogue) as opened:
        write_page(opened, page)
    print(page)


def _print_other(files: list[str]) -> None:
    if not files:
        return
    many = f"{len(files)} files that are not named like audio were passed over, such as"
    some = "1 file that is not named like audio was passed over:" if len(files) == 1 else many
    first = files[0] if files[0].isprintable() else ascii(files[0])[1:-1]
    print(f"{some} {first} (what has sound can be added by its own name, or in a list)")


def _print_planned(work: Sequence[Planned]) -> None:
    for part in work:
        print(f"{part.stage}: {part.recordings} recordings, {part.seconds / 3600:.2f} hours of audio")


def _all_failed(failed: list[tuple[str, str]]) -> str:
    if len(failed) == 1:
        return failed[0][1]
    return f"None of {len(failed)} recordings can be used. The first: {failed[0][1]}"


def _print_ran(ran: Ran, after: Status) -> None:
    """What a run did; a UserError where nothing of the corpus can be used."""
    from rosella.errors import UserError

    usable = after.stages["tokenize"].get("done", 0)
    if ran.failed and not usable:
        raise UserError(_all_failed(ran.failed))
    print(
        ", ".join(f"{stage}: {number} done" for stage, number in ran.done.items())
        + f", {len(ran.failed)} failed"
    )
    _print_failed(ran.failed)
    _print_still_failed([f for f in after.failed if (f["path"], f["reason"]) not in ran.failed])
    _warn_of_guesses(after)


def _print_failed(failed: list[tuple[str, str]]) -> None:
    for path, reason in failed[:SHOWN]:
        print(shown(f"failed: {path}: {reason}"))
    if len(failed) > SHOWN:
        print(f"and {len(failed) - SHOWN} more: see `rosella corpus status --json`")


def _print_still_failed(failed: Sequence[dict[str, str]]) -> None:
    if failed:
        print(
            f"{len(failed)} failed before and {'stays' if len(failed) == 1 else 'stay'} so: `rosella corpus status` "
            "says why, after `rosella corpus retry` a run tries again."
        )


def _warn_of_guesses(found: Status) -> None:
    """Say so where most of what a recogniser wrote is of no use."""
    if 2 * found.doubtful > found.transcribed:
        print(
            f"The recogniser does not seem to know this speech: it guessed at {found.doubtful} of "
            f"{found.transcribed} utterances, which export leaves out. "
            "Run with one made for this language and kind of speech, such as a larger Whisper (--recogniser).",
            file=sys.stderr,
        )


def _status_text(found: Status) -> str:
    lines = [
        f"for training: {found.usable} utterances, {found.usable_seconds / 60:.1f} minutes",
        f"recorded: {found.recordings} recordings, {found.seconds / 60:.1f} minutes",
        f"cut from them: {found.utterances} utterances, {found.utterance_seconds / 60:.1f} minutes",
    ]
    lines += [
        f"left out at {part.stage}: {part.spans}, {part.seconds / 60:.1f} minutes: {part.reason}"
        for part in found.left_out
    ]
    if found.unfinished:
        lines.append(f"not finished: {found.unfinished} utterances")
    for stage, states in found.stages.items():
        lines.append(
            f"{stage}: " + (", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "nothing yet")
        )
    lines += [shown(f"failed at {f['stage']}: {f['path']}: {f['reason']}") for f in found.failed[:SHOWN]]
    if len(found.failed) > SHOWN:
        lines.append(f"and {len(found.failed) - SHOWN} more failed: see --json")
    return "\n".join(lines)
