"""Where buckets lie, and what it costs to read them from elsewhere."""

from __future__ import annotations

from typing import Any

import fsspec

GIB = 2**30


def region_of(url: str) -> str | None:
    """The region of the bucket that holds a path, in small letters; None when it is no bucket, or does not say.

    Of a bucket in two regions both, as `us-central1+us-east1`, and of one spread over a continent its name, as `us`.
    """
    scheme, _, rest = url.partition("://")
    bucket = rest.partition("/")[0]
    if scheme not in _ASK or not bucket:
        return None
    try:
        return _ASK[scheme](fsspec.filesystem(scheme), bucket).lower()
    except Exception:  # whatever a store answers: where it lies is then not known
        return None


def _google(store: Any, bucket: str) -> str:
    told: dict[str, Any] = store.call("GET", f"b/{bucket}", json_out=True)
    location: str = told["location"]
    pair: list[str] = told.get("customPlacementConfig", {}).get("dataLocations", [])
    return "+".join(pair) or _PAIRS.get(location.lower(), location)


def _amazon(store: Any, bucket: str) -> str:
    return store.call_s3("get_bucket_location", Bucket=bucket)["LocationConstraint"] or "us-east-1"


_ASK = {"gs": _google, "gcs": _google, "s3": _amazon}
_PAIRS = {
    "nam4": "us-central1+us-east1",
    "eur4": "europe-north1+europe-west4",
    "asia1": "asia-northeast1+asia-northeast2",
}
"""Google's names for two regions."""


def apart(bucket: str, accelerators: str) -> bool:
    """Whether what accelerators in a region or zone (`us-central2-b`) read from a bucket is billed as leaving its region.

    What is read from a bucket that is spread over a continent always is.
    """
    return (
        "-".join(accelerators.lower().split("-")[:2]) not in bucket.split("+")
        and accelerators.lower() != bucket
    )


def toll(url: str, there: str, here: str, size: float, price: float) -> str:
    """The sentence on reading `size` bytes an epoch across regions, at so many US dollars a GiB."""
    return (
        f"{url} lies in {there}, the accelerators in {here}: every epoch read from there costs up to "
        f"${size / GIB * price:,.2f} for what leaves the region."
    )
