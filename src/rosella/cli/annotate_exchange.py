"""`rosella annotate`: export, import, undo: annotations for people who have other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rosella.cli.corpus_options import CatalogueUrl, Directory
from rosella.shown import shown

if TYPE_CHECKING:
    from rosella.annotate.exchange.run import Imported

Author = Annotated[str, typer.Option(help="Who made them, as the history names it.")]
_LOCAL = "local"


def register(group: typer.Typer) -> None:
    group.command("export")(export)
    group.command("import")(import_)
    group.command("undo")(undo)


def export(
    corpus: Directory,
    format: Annotated[
        Literal["labelstudio", "elan", "textgrid", "srt"], typer.Option(help="Whose files to write.")
    ],
    name: Annotated[
        str | None, typer.Argument(help="A recording, by path, file name or id; all without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write into.", metavar="DIR")] = Path("annotations"),
    catalogue: CatalogueUrl = None,
) -> None:
    """Write a file for each recording: texts and turns as they are now, and what was decided where there is room."""
    from rosella.annotate.exchange.run import export
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        written = sum(1 for _ in export(opened.catalogue, format, out, name))
    print(f"{written} files in {shown(str(out))}" if written else "There is nothing to write: no clips yet.")


def import_(
    source: Annotated[
        Path,
        typer.Argument(help="A file of one of the formats, or a folder of them.", metavar="FILE_OR_FOLDER"),
    ],
    corpus: Directory,
    author: Author = _LOCAL,
    catalogue: CatalogueUrl = None,
) -> None:
    """Take what was changed in files as corrections; what people changed meanwhile stays theirs."""
    from rosella.annotate.exchange.run import import_files
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        for imported in import_files(opened.catalogue, source, author):
            print(f"{shown(imported.file.name)}: {_told(imported)}", flush=True)


def undo(
    batch: Annotated[str, typer.Argument(help="What an import printed.")],
    corpus: Directory,
    author: Author = _LOCAL,
    catalogue: CatalogueUrl = None,
) -> None:
    """Undo what was changed together, such as an import; clips that were changed since stay."""
    from rosella.annotate.exchange.run import undo
    from rosella.corpus.project import Corpus

    with Corpus.open(corpus, catalogue) as opened:
        undone, left = undo(opened.catalogue, author, batch)
    print(f"{undone} clips are as they were" + (f", {left} were changed since and stay" if left else ""))


def _told(imported: Imported) -> str:
    """What became of a file, in one line."""
    rest = (
        ("left", "were changed by people meanwhile and stay theirs"),
        ("untold", "have no words in the file and stay"),
    )
    parts = [f"{imported.changed} clips changed, {imported.count('same')} as they were"]
    parts += [f"{number} clips {what}" for name, what in rest if (number := imported.count(name))]
    lines = (
        ("outside", "lie in no clip and were passed over"),
        ("cut", "reached into another clip and were cut there"),
        ("parted", "ran into the next and were ended there"),
    )
    parts += [f"{number} turns {what}" for name, what in lines if (number := imported.count(name))]
    parts += [f"to undo: rosella annotate undo {imported.batch}"] if imported.batch else []
    return "; ".join(parts)
