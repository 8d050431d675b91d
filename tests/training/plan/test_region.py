from __future__ import annotations

import fsspec
import pytest

from rosella.training.plan.region import apart, region_of


class Store:
    def call(self, method, path, json_out):
        assert (method, path, json_out) == ("GET", "b/talk", True)
        return {"location": "EUROPE-WEST4"}

    def call_s3(self, method, Bucket):
        return {"LocationConstraint": None}


def test_a_bucket_says_where_it_lies(monkeypatch):
    monkeypatch.setattr(fsspec, "filesystem", lambda scheme: Store())
    assert region_of("gs://talk/corpus") == "europe-west4"
    assert region_of("s3://talk/corpus") == "us-east-1"


@pytest.mark.parametrize("export", ["my-corpus", "/data/corpus", "gs://", "memory://x"])
def test_what_is_no_bucket_lies_nowhere(export):
    assert region_of(export) is None


def test_a_store_that_does_not_answer_is_no_error(monkeypatch):
    def away(scheme):
        raise OSError("no network")

    monkeypatch.setattr(fsspec, "filesystem", away)
    assert region_of("gs://talk/corpus") is None


@pytest.mark.parametrize(
    ("bucket", "accelerators", "crosses"),
    [
        ("us-central2", "us-central2", False),
        ("us-central2", "us-central2-b", False),
        ("us", "us-central2", False),
        ("eu", "europe-west4-a", False),
        ("europe-west4", "us-central2-b", True),
        ("us-east1", "us-central2", True),
    ],
)
def test_a_zone_belongs_to_its_region_and_a_region_to_its_continent(bucket, accelerators, crosses):
    assert apart(bucket, accelerators) == crosses
