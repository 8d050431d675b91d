"""Where a bucket lies, and what it costs to read it from elsewhere."""

from __future__ import annotations

from typing import Any

import fsspec


def region_of(export: str) -> str | None:
    """The region of the bucket that holds an export, in small letters; None when it is no bucket, or does not say."""
    scheme, _, rest = export.partition("://")
    bucket = rest.partition("/")[0]
    if scheme not in _ASK or not bucket:
        return None
    try:
        return _ASK[scheme](fsspec.filesystem(scheme), bucket).lower()
    except Exception:  # whatever a store answers: where it lies is then not known
        return None


def _google(store: Any, bucket: str) -> str:
    return store.call("GET", f"b/{bucket}", json_out=True)["location"]


def _amazon(store: Any, bucket: str) -> str:
    return store.call_s3("get_bucket_location", Bucket=bucket)["LocationConstraint"] or "us-east-1"


_ASK = {"gs": _google, "gcs": _google, "s3": _amazon}


def apart(bucket: str, accelerators: str) -> bool:
    """Whether data cross between regions: `us-central2-b` is a zone of `us-central2`, and `us` and `eu` are everywhere in
    theirs."""
    parts = accelerators.lower().split("-")
    places = {accelerators.lower(), "-".join(parts[:2]), parts[0], {"europe": "eu"}.get(parts[0], parts[0])}
    return bucket not in places
