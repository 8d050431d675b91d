"""Speech over HTTP, as programs that know OpenAI's speech API ask for it."""

from __future__ import annotations
