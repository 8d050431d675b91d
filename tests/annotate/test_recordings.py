"""Speakers of a recording."""

from __future__ import annotations

import io
import wave

import pytest

from annotate.small import FIRST, ONE, TWO, Client, fault, written


def speakers(client: Client) -> dict[str, tuple[float, int]]:
    told = client.get(f"recordings/{FIRST}/speakers").json()["speakers"]
    return {each["name"]: (each["seconds"], each["turns"]) for each in told}


def test_speakers_are_told_as_people_corrected_them(local: Client):
    assert speakers(local) == {"A": (5.0, 2), "B": (2.5, 1)}
    view = local.clip(TWO.id)
    view["state"]["turns"][0]["speaker"] = "C"
    assert local.save(view).status_code == 200
    assert speakers(local) == {"A": (2.0, 1), "B": (2.5, 1), "C": (3.0, 1)}


def test_a_new_name_holds_in_the_whole_recording_and_can_be_taken_back(local: Client):
    told = local.post(f"recordings/{FIRST}/speakers", {"before": "A", "after": "Anna"}).json()
    assert [each["name"] for each in told["speakers"]] == ["Anna", "B"]
    assert local.clip(TWO.id)["state"]["turns"][0]["speaker"] == "Anna"
    assert local.post(f"corrections/{told['number']}/undo").json() == {"clips": []}
    assert set(speakers(local)) == {"A", "B"}


def test_two_become_one_by_one_name(local: Client):
    assert local.post(f"recordings/{FIRST}/speakers", {"before": "B", "after": "A"}).status_code == 200
    assert set(speakers(local)) == {"A"}
    assert {turn["speaker"] for turn in local.clip(ONE.id)["state"]["turns"]} == {"A"}


@pytest.mark.parametrize(
    ("before", "after"), [("Z", "Anna"), ("A", ""), ("A", "a\x00"), ("A", "\ud800"), ("A", "x" * 101)]
)
def test_names_that_cannot_be_are_one_sentence(local: Client, before, after):
    assert fault(local.post(f"recordings/{FIRST}/speakers", {"before": before, "after": after}), 400)
    assert set(speakers(local)) == {"A", "B"}


def test_some_seconds_of_a_speaker_are_heard(local: Client):
    answer = local.get(f"recordings/{FIRST}/speakers/A/audio")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.getnframes() == pytest.approx(3.0 * 24_000, abs=10)
    assert fault(local.get(f"recordings/{FIRST}/speakers/Z/audio"), 404)


@pytest.mark.parametrize("recording", ["c" * 32, "..", "%2e%2e%2fetc", "%00"])
def test_an_unknown_recording_is_not_found(local: Client, recording):
    assert fault(local.get(f"recordings/{recording}/speakers"), 404)
    assert fault(local.get(f"recordings/{recording}/speakers/A/audio"), 404)
    assert fault(local.post(f"recordings/{recording}/speakers", {"before": "A", "after": "B"}), 404)


def test_a_name_that_looks_like_a_page_stays_a_name(local: Client):
    name = "<b onmouseover=alert(1)>&"
    assert local.post(f"recordings/{FIRST}/speakers", {"before": "A", "after": name}).status_code == 200
    assert local.clip(TWO.id)["state"]["turns"][0]["speaker"] == name
    assert local.save(written(local.clip(TWO.id), "hoi")).status_code == 200
