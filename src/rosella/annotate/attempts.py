"""Wrong passwords of late: so many for one name and from one address, and then whoever tries must wait."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from http import HTTPStatus

import sqlalchemy as sa

from rosella.annotate.settings import Limits
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.people import AttemptRow
from rosella.web.faults import Refusal


class Attempts:
    """They are kept in the catalogue: a server that is started anew forgets none."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database, self._limits = database, limits

    def begin(self, name: str, address: str) -> list[int]:
        """Count a try before its password is looked at; its numbers. A Refusal says how long to wait.

        All tries are written down before they are counted, so that of many at once no more are let through.
        """
        most = {
            _hash("name", name): self._limits.tries_of_name,
            _hash("address", address): self._limits.tries_of_address,
        }
        now = time.time()
        with self._database.session() as session:
            rows = [AttemptRow(who=who, at=now) for who in most]
            session.execute(sa.delete(AttemptRow).where(AttemptRow.at < now - self._limits.window))
            session.add_all(rows)
            session.flush()
            numbers = [row.number for row in rows]
        wait = max(self._wait(who, number, now) for who, number in most.items())
        if wait > 0:
            self.forgive(numbers)
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Too many passwords were wrong: try again in {math.ceil(wait / 60)} minutes.",
                code="too_many_attempts",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        return numbers

    def forgive(self, numbers: Sequence[int], name: str | None = None) -> None:
        """Count tries no longer, and none of a name whose password was right."""
        with self._database.session() as session:
            session.execute(sa.delete(AttemptRow).where(AttemptRow.number.in_(numbers)))
            if name is not None:
                session.execute(sa.delete(AttemptRow).where(AttemptRow.who == _hash("name", name)))

    def _wait(self, who: str, most: int, now: float) -> float:
        """Seconds until there are no more than `most` of the last ones left; 0 where there are not."""
        times = sa.select(AttemptRow.at).where(AttemptRow.who == who).order_by(AttemptRow.at.desc())
        with self._database.session() as session:
            beyond = session.scalars(times.offset(most).limit(1)).first()
        return 0.0 if beyond is None else max(1.0, beyond + self._limits.window - now)


def _hash(kind: str, value: str) -> str:
    """What was typed as a name may be a password: neither is kept."""
    return hashlib.sha256(f"{kind} {value}".encode(errors="surrogatepass")).hexdigest()
