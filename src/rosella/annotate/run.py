"""The server as a process: who may come, and what it says of itself."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from rosella.annotate.accounts import OWNER, Accounts, Role, folded
from rosella.annotate.app import create_app
from rosella.annotate.desk import Desk
from rosella.annotate.people import link
from rosella.annotate.settings import Limits
from rosella.corpus.catalogue import settings
from rosella.corpus.project import Corpus
from rosella.errors import UserError
from rosella.web.listening import LOCAL, listen, server_of

_ADDRESS = "annotate.address"
"""The fact of a corpus where its server was reached last."""


def run(directory: Path, catalogue: str | None, host: str, port: int, share: float) -> None:
    """Serve until SIGTERM or Ctrl-C; saves under way end first. Arguments are those of the command."""
    with listen(host, port) as listening, Corpus.open(directory, catalogue) as corpus:
        limits = Limits(twice=share)
        desk = desk_of(corpus, host, limits)
        address = address_of(host, listening.getsockname()[1])
        settings.write(corpus.catalogue, _ADDRESS, address)
        _say_where(desk, address)
        server = server_of(create_app(desk), limits.opening, limits.drain, leaving=desk.hub.close)
        with suppress(KeyboardInterrupt):  # raised once all is saved
            server.run(sockets=[listening])
        print("Stopped; all that was saved is kept.", flush=True)


def desk_of(corpus: Corpus, host: str, limits: Limits) -> Desk:
    """At this machine alone, and while there are no accounts, a single user needs none."""
    place = corpus.directory.resolve()
    local = host in LOCAL and not Accounts(corpus.catalogue, limits).wanted()
    return Desk(corpus.catalogue, place.name, str(place), local, limits)


def invite(directory: Path, catalogue: str | None, role: Role, address: str | None) -> str:
    """A new invitation as a link, to `address` or where the server was reached last."""
    with Corpus.open(directory, catalogue) as corpus:
        return _linked(corpus, address, Accounts(corpus.catalogue, Limits()).invite(role))


def let_in_again(directory: Path, catalogue: str | None, name: str, address: str | None) -> str:
    """An invitation as a link, by which somebody who has an account gets a new password."""
    with Corpus.open(directory, catalogue) as corpus:
        accounts = Accounts(corpus.catalogue, Limits())
        names = [person.name for person, _ in accounts.people()]
        if not names:
            raise UserError("Nobody has an account here: `rosella annotate invite` lets people make one.")
        if folded(name) not in map(folded, names):
            raise UserError(f"Nobody has the name {name!r} here: choose of {', '.join(names)}.")
        return _linked(corpus, address, accounts.let_in_again(name))


def address_of(host: str, port: int) -> str:
    """What one opens who sits at this machine, or at one that knows it by name."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _linked(corpus: Corpus, address: str | None, token: str) -> str:
    last = settings.read(corpus.catalogue, _ADDRESS) or address_of("127.0.0.1", 8001)
    return link((address or last).rstrip("/"), token)


def _say_where(desk: Desk, address: str) -> None:
    print(f"{desk.corpus} is corrected at {address}", flush=True)
    if desk.gate.local is not None:
        print(
            "One user, without login, who sits at this machine: nobody else is let in. "
            "`rosella annotate invite --role owner` makes accounts from the next start on.",
            flush=True,
        )
    elif not desk.accounts.has_owner():
        token = desk.accounts.invite(OWNER)
        print(f"There is no owner yet: open {link(address, token)} (once, within a week).", flush=True)
