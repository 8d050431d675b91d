"""Routes of people: who one is, logging in and out, invitations, also of who forgot the password."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from rosella.annotate.accounts import OWNER, Role, folded
from rosella.annotate.desk import Desk
from rosella.annotate.guard import Me
from rosella.annotate.sessions import Visitor
from rosella.corpus import disfluencies
from rosella.web.faults import Refusal

ALONE = (
    "This server has a single user: to have others, stop it, run `rosella annotate invite --role owner`, "
    "and start it again."
)


class Credentials(BaseModel):
    name: Annotated[str, Field(max_length=1000)]
    password: Annotated[str, Field(max_length=1000)]


class Invited(BaseModel):
    role: Role


def link(address: str, token: str) -> str:
    """What somebody opens who is invited. Browsers send no server what follows a #, so that no log has the token."""
    return f"{address}/#invitation={token}"


def routers(desk: Desk) -> list[APIRouter]:
    """`/api/me`, `login`, `logout`, `invitations` and `people`."""
    return [_doors(desk), _own(desk), _owners(desk)]


def _doors(desk: Desk) -> APIRouter:
    routes = desk.gate.routes(None)

    @routes.post("/login")
    def login(given: Credentials, request: Request, response: Response) -> dict[str, Any]:
        _require_accounts(desk)
        address = request.client.host if request.client else ""
        tried = desk.attempts.begin(folded(given.name), address)
        person = desk.accounts.who(given.name, given.password)
        if person is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "The name or the password is wrong.", code="wrong_password"
            )
        desk.attempts.forgive(tried, folded(given.name))
        return _came_in(desk, request, response, desk.sessions.open(person))

    @routes.get("/invitations/{token}")
    def invitation(token: str) -> dict[str, Any]:
        found = desk.accounts.invitation(token)
        return {"role": found.role, "person": found.person, "corpus": desk.corpus}

    @routes.post("/invitations/{token}")
    def join(token: str, given: Credentials, request: Request, response: Response) -> dict[str, Any]:
        _require_accounts(desk)
        person = desk.accounts.join(token, given.name, given.password)
        desk.attempts.forgive([], folded(person.name))
        return _came_in(desk, request, response, desk.sessions.open(person))

    return routes


def _own(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    @routes.get("/me")
    def me(me: Me) -> dict[str, Any]:
        return _told(desk, me)

    @routes.post("/logout")
    def logout(request: Request, response: Response) -> dict[str, Any]:
        desk.gate.forget(request, response)
        return {}

    return routes


def _owners(desk: Desk) -> APIRouter:
    routes = desk.gate.routes(OWNER)

    @routes.post("/invitations")
    def invite(given: Invited, request: Request) -> dict[str, Any]:
        _require_accounts(desk)
        return {"url": _linked(request, desk.accounts.invite(given.role))}

    @routes.get("/people")
    def people() -> dict[str, Any]:
        found = desk.accounts.people()
        return {"people": [{"name": each.name, "role": each.role, "since": since} for each, since in found]}

    @routes.post("/people/{name}/invitations")
    def let_in_again(name: str, request: Request) -> dict[str, Any]:
        _require_accounts(desk)
        return {"url": _linked(request, desk.accounts.let_in_again(name))}

    @routes.delete("/people/{name}")
    def dismiss(name: str) -> dict[str, Any]:
        desk.accounts.dismiss(name)
        return {}

    return routes


def _linked(request: Request, token: str) -> str:
    return link(str(request.base_url).rstrip("/"), token)


def _require_accounts(desk: Desk) -> None:
    if desk.gate.local is not None:
        raise Refusal(HTTPStatus.CONFLICT, ALONE, code="no_accounts")


def _came_in(desk: Desk, request: Request, response: Response, token: str) -> dict[str, Any]:
    desk.gate.remember(request, response, token)
    visitor = desk.sessions.find(token)
    assert visitor is not None
    return _told(desk, visitor)


def _told(desk: Desk, visitor: Visitor) -> dict[str, Any]:
    return {
        "name": visitor.name,
        "role": visitor.role,
        "csrf": visitor.csrf,
        "local": visitor.local,
        "corpus": desk.corpus,
        "events": disfluencies.EVENTS,
        "fillers": {language: sorted(words) for language, words in disfluencies.FILLERS.items()},
    }
