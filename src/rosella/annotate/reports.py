"""Routes of how far the work is, and of what of it can be taken home."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from rosella.annotate import progress
from rosella.annotate.accounts import REVIEWER
from rosella.annotate.desk import Desk


def routers(desk: Desk) -> list[APIRouter]:
    """`/api/progress` and `/api/export`."""
    return [_progress(desk), _exports(desk)]


def _progress(desk: Desk) -> APIRouter:
    routes = desk.gate.routes()

    @routes.get("/progress")
    def report() -> dict[str, Any]:
        return progress.progress(desk.catalogue).to_dict()

    return routes


def _exports(desk: Desk) -> APIRouter:
    routes = desk.gate.routes(REVIEWER)

    @routes.get("/export/history.csv")
    def history() -> StreamingResponse:
        return _file("history.csv", progress.history_csv(desk.catalogue))

    @routes.get("/export/agreement.csv")
    def agreement() -> StreamingResponse:
        return _file("agreement.csv", progress.agreement_csv(desk.catalogue))

    return routes


def _file(name: str, lines: Iterable[str]) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
