"""The page that speaks: its files, and that it may listen."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from rosella.web import pages

STATIC = Path(__file__).parent / "static"


def router() -> APIRouter:
    """`GET /` and `/static/...`."""
    return pages.router(STATIC, "microphone=(self)")
