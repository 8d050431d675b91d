"""Where a request comes from, as far as a browser says it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

FORBIDDEN = "Pages of other hosts may not speak here: open this server's own page."


def from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that a page of another host asks."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")
