"""`rosella corpus`: remove, backup, restore, migrate, gc."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rosella.cli.corpus_options import CatalogueUrl, Directory

if TYPE_CHECKING:
    from rosella.corpus.catalogue.removal import Found


def register(group: typer.Typer) -> None:
    for verb in (remove, backup, restore, migrate, gc):
        group.command()(verb)


def remove(
    name: Annotated[str, typer.Argument(help="A recording (path, file name or id) or a speaker.")],
    corpus: Directory,
    runs: Annotated[Path, typer.Option(help="Where trainings are, to name those that saw it.")] = Path(
        "runs"
    ),
    voice: Annotated[
        bool,
        typer.Option("--voice", help="Also where the speaker's voice is heard under another name, or none."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    catalogue: CatalogueUrl = None,
) -> None:
    """Remove recordings for good (consent withdrawn): from catalogue, codes, shards and backups. Stop workers first."""
    from rosella.corpus.catalogue.removal import find
    from rosella.corpus.operate import remove as removal
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        found = find(opened.catalogue, name)
        chosen = [*found.named, *(found.heard if voice else [])]
        _print_found(found, voice)
        if not yes:
            typer.confirm(f"Remove {len(chosen)} recordings for good?", abort=True)
        removed = removal.remove(opened, chosen, runs)
    print(
        f"{len(chosen)} recordings removed, {removed.files} files deleted, {removed.shards} shards purged, "
        f"{removed.backups} backups purged"
    )
    print("The audio files themselves stay where they are: delete them yourself.")
    for run in removed.runs:
        print(f"trained on it: {run}")


def _print_found(found: Found, voice: bool) -> None:
    for recording in found.named:
        print(f"{recording.id} {recording.path}")
    for heard in found.heard:
        name = f"named {heard.other} there" if heard.other else "not named there"
        print(f"{heard.id} {heard.path} (by voice: {heard.voice}, {name})")
    if found.heard and not voice:
        print(
            f"{len(found.heard)} found by voice alone stay. --voice removes them too; later they go by the voice only."
        )


def backup(
    corpus: Directory,
    to: Annotated[Path | None, typer.Argument(help="The file; without it, one in DIR/backups.")] = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Copy the catalogue into one file, while work may go on."""
    from rosella.corpus.operate.backup import backup
    from rosella.corpus.project import catalogue_url

    print(backup(corpus, catalogue_url(corpus, catalogue), to))


def restore(
    file: Annotated[Path, typer.Argument(help="A backup, of this or another kind of database.")],
    corpus: Directory,
    catalogue: CatalogueUrl = None,
) -> None:
    """Put a backup in the catalogue's place. What was removed since stays removed."""
    from rosella.corpus.operate.backup import restore
    from rosella.corpus.project import catalogue_url

    corpus.mkdir(parents=True, exist_ok=True)
    print(f"{restore(catalogue_url(corpus, catalogue, create=True), file)} recordings restored")


def migrate(corpus: Directory, catalogue: CatalogueUrl = None) -> None:
    """Bring the catalogue of an older Rosella to this one's form, after a backup."""
    from rosella.corpus.operate.backup import migrate
    from rosella.corpus.project import catalogue_url

    done = migrate(corpus, catalogue_url(corpus, catalogue))
    if done.backup is None:
        print(f"The catalogue is up to date (revision {done.after}).")
    else:
        print(
            f"Migrated from revision {done.before} to {done.after}; before that it was copied to {done.backup}."
        )


def gc(
    corpus: Directory,
    now: Annotated[
        bool, typer.Option("--now", help="Also what is younger than a day; nothing may be at work.")
    ] = False,
    catalogue: CatalogueUrl = None,
) -> None:
    """Delete superseded shards, codes of other codecs and gone recordings, and unfinished files."""
    from rosella.corpus.operate.gc import GRACE, collect
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        cleared = collect(opened, 0.0 if now else GRACE)
    print(
        f"{cleared.shards} shards, {cleared.codes} files of codes and {cleared.temporaries} temporary files deleted, "
        f"{cleared.bytes / 1e6:.1f} MB"
    )
