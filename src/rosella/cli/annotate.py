"""`rosella annotate`: people correct what was written down."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import typer

from rosella.cli import annotate_exchange
from rosella.cli.corpus_options import CatalogueUrl, Directory
from rosella.errors import UserError

PORT = 8001


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True)
    group.callback()(serve)
    group.command("invite")(invite)
    group.command("password")(password)
    annotate_exchange.register(group)
    app.add_typer(group, name="annotate")


def serve(
    context: typer.Context,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="The corpus directory.", metavar="DIR")
    ] = None,
    catalogue: CatalogueUrl = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere, and whoever comes needs an account.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = PORT,
    share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Of the clips, so many go to two people, to see how they agree."),
    ] = 0.1,
) -> None:
    """Serve a page on which people correct what was written down of a corpus.

    At 127.0.0.1 a single user needs no login. Others come by invitation, from the first one on.
    """
    if context.invoked_subcommand is not None:
        if corpus is not None or catalogue is not None:
            raise UserError(f"Options belong behind {context.invoked_subcommand}: write them there.")
        return
    if corpus is None:
        raise UserError("Which corpus is to be corrected? Name it by --corpus DIR.")
    _server().run(corpus, catalogue, host, port, share)


Address = Annotated[
    str | None,
    typer.Option(help="Where the server is reached, such as https://host (default: where it was last)."),
]


def invite(
    corpus: Directory,
    role: Annotated[
        Literal["annotator", "reviewer", "owner"],
        typer.Option(help="What the person may do; an owner may invite others."),
    ] = "annotator",
    address: Address = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Print a link by which somebody makes an account, once and within a week."""
    print(_server().invite(corpus, catalogue, role, address))


def password(
    name: Annotated[str, typer.Argument(help="Who forgot the password.", show_default=False)],
    corpus: Directory,
    address: Address = None,
    catalogue: CatalogueUrl = None,
) -> None:
    """Print a link by which somebody who has an account chooses a new password, once and within a week."""
    print(_server().let_in_again(corpus, catalogue, name, address))


def _server() -> ModuleType:
    try:
        from rosella.annotate import run
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is missing: pip install 'rosella-tts[annotate]'.") from error
    return run
