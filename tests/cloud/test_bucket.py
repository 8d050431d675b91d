from __future__ import annotations

import fsspec
import numpy as np
import pytest

from cloud.fake_buckets import FakeBuckets
from little import write as write_little
from rosella.cloud import bucket
from rosella.cloud.bucket import check_region
from rosella.errors import UserError
from rosella.shards.read import Export

CODES = 36e9
"""Of 10,000 hours."""


@pytest.fixture
def lies(monkeypatch):
    return lambda region: monkeypatch.setattr(bucket, "region_of", lambda url: region)


def test_a_bucket_beside_the_slices_is_nothing_to_speak_of(lies):
    lies("us-central2")
    assert check_region("gs://talk", ["us-central2-b"], CODES, 0.12) is None


def test_one_in_another_region_is_refused_with_its_price_until_insisted_on(lies):
    lies("europe-west4")
    with pytest.raises(
        UserError, match=r"\$4\.02 .* copy it to a bucket in us-central2; to pay it, set any_region"
    ):
        check_region("gs://talk", ["us-central2-b"], CODES, 0.12)
    said = check_region("gs://talk", ["us-central2-b"], CODES, 0.12, insisted=True)
    assert said is not None and "costs up to $4.02" in said and "any_region" not in said


def test_of_several_zones_only_those_that_are_far_away_are_named(lies):
    lies("us-central2")
    with pytest.raises(UserError, match="in europe-west4-a: .* leave out europe-west4-a; "):
        check_region("gs://talk", ["us-central2-b", "europe-west4-a"], CODES, 0.12)


def test_a_bucket_of_a_whole_continent_is_near_to_nobody(lies):
    lies("us")
    with pytest.raises(UserError, match="gs://talk lies in us, "):
        check_region("gs://talk", ["us-central2-b"], CODES, 0.12)


def test_where_nobody_can_tell_it_is_said_and_a_folder_lies_nowhere(lies):
    lies(None)
    said = check_region("gs://talk", ["us-central2-b"], CODES, 0.12)
    assert said is not None and "does not say in which region" in said
    assert check_region("/mnt/talk", ["us-central2-b"], CODES, 0.12) is None


def test_a_bucket_tells_where_it_lies(buckets: FakeBuckets):
    assert check_region("gs://my-dutch/pods", ["us-central2-b"], CODES, 0.12) is None
    with pytest.raises(
        UserError, match="gs://my-dutch lies in us-central2, the accelerators in europe-west4-a"
    ):
        check_region("gs://my-dutch", ["europe-west4-a"], CODES, 0.12)
    assert "does not say in which region" in (check_region("gs://none", ["us-central2-b"], CODES, 0.12) or "")


def test_a_corpus_in_a_bucket_is_read_as_it_is_here(buckets: FakeBuckets, tmp_path):
    write_little(tmp_path, steps=2)
    fsspec.filesystem("gs").put(str(tmp_path / "corpus"), "my-dutch/corpus", recursive=True)
    here, there = Export.open(tmp_path / "corpus"), Export.open("gs://my-dutch/corpus")
    assert len(there) == len(here) == 12
    for number in range(len(here)):
        np.testing.assert_array_equal(there.codes(number), here.codes(number))
