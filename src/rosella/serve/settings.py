"""What a server allows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Beyond these a request is refused or broken off."""

    characters: int = 4096
    """Of a text, as OpenAI has it."""
    body: int = 64 * 2**10
    """Bytes of a request for speech."""
    recording: int = (10 << 20) + (64 << 10)
    """Bytes of a request with a recording: 10 MiB of it, as OpenAI has it, and what is said about it."""
    voices: int = 20
    consents: int = 100
    """So many are kept; who wants another deletes one."""
    queue: int = 16
    """Requests that wait for a place, besides those that speak."""
    patience: float = 30.0
    """Seconds that one waits for a place."""
    deadline: float = 300.0
    """Seconds from the request to the last byte of its answer."""
    unread: int = 64
    """Answers under way, whether they are still made or only not yet read."""
    silence: float = 30.0
    """Seconds that the writer of a text over a socket may think."""
    opening: float = 30.0
    """Seconds in which a request that has begun must be there whole."""
    drain: int = 60
    """Seconds that speeches have to end in when the server is stopped."""
