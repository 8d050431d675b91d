from __future__ import annotations

from typing import Any

import pytest
import yaml

from rosella.cloud.pod import load_pod
from rosella.errors import UserError

LEAST: dict[str, Any] = {
    "name": "dutch",
    "project": "my-project",
    "zones": ["us-central2-b"],
    "accelerators": ["v4-32"],
    "budget": {"money": 100},
    "bucket": "gs://my-dutch",
    "source": {"wheel": "rosella.whl"},
    "command": "rosella train dia.yaml",
}


@pytest.fixture
def written(tmp_path):
    """The path of a `pod.yaml` that says this."""

    def write(**keys):
        path = tmp_path / "pod.yaml"
        path.write_text(yaml.safe_dump({**LEAST, **keys}))
        return path

    return write


def test_the_least_that_must_be_said_is_a_spot_pod_with_a_home_in_its_bucket(written):
    pod = load_pod(written())
    assert pod.spot and not pod.any_region and pod.adopt is None
    assert pod.home == "gs://my-dutch/pods/dutch"
    assert load_pod(written(), ["budget.money=5", "spot=false"]).budget.money == 5


def test_a_kind_has_googles_name_and_its_own_image(written):
    pod = load_pod(written(accelerators=["v5e-16", "v4-32", "v6e-8"]))
    assert pod.accelerators == ["v5litepod-16", "v4-32", "v6e-8"]
    assert [pod.image(each) for each in pod.accelerators] == [
        "v2-alpha-tpuv5-lite", "tpu-ubuntu2204-base", "v2-alpha-tpuv6e",
    ]  # fmt: skip
    assert load_pod(written(runtime="mine")).image("v4-32") == "mine"


def test_a_zone_that_is_named_twice_is_asked_once(written):
    assert load_pod(written(zones=["us-central2-b", "us-central2-b"])).zones == ["us-central2-b"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "Dutch"}, "name "),
        ({"name": "-"}, "name "),
        ({"name": "a" * 21}, "name "),
        ({"zones": []}, "zones "),
        ({"zones": ["us-central2"]}, "'us-central2' is no zone, which is written like us-central2-b"),
        ({"accelerators": ["tpu"]}, "'tpu' is none, which is written like v4-32"),
        ({"budget": {}}, "budget needs money or hours"),
        ({"budget": {"money": 0}}, "budget.money "),
        ({"budget": {"hours": 0.1}}, "budget.hours must be more than the 0.13 h that saving and deleting may take"),
        ({"source": {}}, "source needs either a wheel, or a repository and a commit"),
        ({"source": {"repository": "x"}}, "source needs either a wheel, or a repository and a commit"),
        ({"source": {"repository": "x", "commit": "main"}}, "source.commit "),
        ({"environment": {"WANDB_API_KEY": "x"}}, "WANDB_API_KEY sounds like a secret; put it into a file"),
        ({"buckets": "x"}, "the key buckets is unknown, did you mean bucket"),
        ({"ssh": {"port": 22}}, "the key ssh.port is unknown"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_that_names_the_key(written, keys, sentence):
    with pytest.raises(UserError) as refused:
        load_pod(written(**keys))
    assert sentence in str(refused.value) and str(refused.value).count("\n") == 0


def test_what_must_be_said_is_asked_for(tmp_path):
    path = tmp_path / "pod.yaml"
    path.write_text("name: dutch\n")
    with pytest.raises(UserError, match="the key project is missing"):
        load_pod(path)
