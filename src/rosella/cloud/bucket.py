"""Whether a bucket lies where the slices are: to read from another region costs more than most trainings."""

from __future__ import annotations

from collections.abc import Sequence

from rosella.errors import UserError
from rosella.regions import apart, region_of, toll


def check_region(
    url: str, zones: Sequence[str], size: float, price: float, insisted: bool = False
) -> str | None:
    """Refuse a bucket that any of the zones would read across regions, with the price; once insisted on, only say so.

    `size` bytes are read in an epoch, `price` is US dollars for a GiB that leaves a region. Returns what the person should
    know, if anything; also where nobody can tell.
    """
    there = region_of(url)
    if there is None:
        return _unknown(url)
    far = [zone for zone in zones if apart(there, zone)]
    if not far:
        return None
    costs = toll(url, there, " and ".join(far), size, price)
    if insisted:
        return costs
    way = (
        f"leave out {' and '.join(far)}"
        if len(far) < len(zones)
        else f"copy it to a bucket in {far[0].rpartition('-')[0]}"
    )
    raise UserError(f"{costs} To avoid that, {way}; to pay it, set any_region: true.")


def _unknown(url: str) -> str | None:
    """Of a folder there is nothing to know."""
    if "://" not in url:
        return None
    return (
        f"{url} does not say in which region it lies: if it is not that of the slices, every read is billed."
    )
