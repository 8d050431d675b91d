from __future__ import annotations

import fsspec
import pytest

from rosella.regions import apart, region_of, toll


class Store:
    def __init__(self, **told):
        self.told = told

    def call(self, method, path, json_out):
        assert (method, path, json_out) == ("GET", "b/talk", True)
        return self.told

    def call_s3(self, method, Bucket):
        return {"LocationConstraint": None}


@pytest.mark.parametrize(
    ("told", "region"),
    [
        ({"location": "EUROPE-WEST4"}, "europe-west4"),
        ({"location": "US"}, "us"),
        ({"location": "NAM4"}, "us-central1+us-east1"),
        (
            {"location": "US", "customPlacementConfig": {"dataLocations": ["US-CENTRAL1", "US-WEST1"]}},
            "us-central1+us-west1",
        ),
    ],
)
def test_a_bucket_says_where_it_lies(monkeypatch, told, region):
    monkeypatch.setattr(fsspec, "filesystem", lambda scheme: Store(**told))
    assert region_of("gs://talk/corpus") == region
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
        ("us-east-1", "us-east-1", False),
        ("us-central1+us-east1", "us-east1-d", False),
        ("us-central1+us-east1", "us-central2-b", True),
        ("us", "us-central2", True),
        ("eu", "europe-west4-a", True),
        ("europe-west4", "us-central2-b", True),
        ("us-east1", "us-central2", True),
    ],
)
def test_a_zone_belongs_to_its_region_and_what_is_spread_over_a_continent_to_none(
    bucket, accelerators, crosses
):
    assert apart(bucket, accelerators) == crosses


def test_what_an_epoch_costs_is_said_in_money():
    said = toll("gs://talk/corpus", "us", "us-central2", 36e9, 0.12)
    assert "lies in us, the accelerators in us-central2" in said and "costs up to $4.02 for" in said
