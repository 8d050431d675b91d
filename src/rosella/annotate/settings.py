"""What a server of annotation allows."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86_400.0


@dataclass(frozen=True)
class Limits:
    """Beyond these a request is refused or broken off. All times are in seconds."""

    body: int = 256 << 10
    """Bytes of a request."""
    invitation: float = 7 * DAY
    """How long an invitation waits for somebody, new or let in again."""
    session: float = 14 * DAY
    """After which one logs in again."""
    tries_of_name: int = 5
    tries_of_address: int = 30
    window: float = 900.0
    """Within which so many wrong passwords are taken for one name, and from one address."""
    hashing: int = 2
    """Passwords looked at side by side: each takes 64 MiB."""
    around: float = 1.5
    """Sound that is sent before and after a clip."""
    sounds: int = 48
    """Clips whose sound and peaks are kept; the longest have 1.6 MB."""
    heartbeat: float = 15.0
    """Between signs of life of a stream of events."""
    stream: float = 300.0
    """After which a stream of events ends and is asked for again, by who still may."""
    poll: float = 1.0
    """Between looks at what other processes have changed."""
    twice: float = 0.1
    """Of the clips, so many go to two people."""
    found: int = 500
    """Places that a search lists."""
    opening: float = 30.0
    """In which a request that has begun must be there whole."""
    drain: int = 30
    """That saves under way have to end in when the server is stopped."""
