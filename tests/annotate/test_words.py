"""Words over the whole project."""

from __future__ import annotations

import pytest

from annotate.small import ONE, THREE, TWO, Client, fault, kept, written
from rosella.annotate import words
from rosella.corpus.catalogue import corrections


def texts(client: Client, id: str) -> list[str]:
    return [turn["text"] for turn in client.clip(id)["state"]["turns"]]


def test_words_are_found_with_their_places(local: Client):
    told = local.get("search?text=halo&whole=1&case=0").json()
    assert told["total"] == 3
    places = [(place["clip"], place["turn"], place["text"]) for place in told["found"]]
    assert places == [(ONE.id, 0, "eh halo"), (TWO.id, 0, "wij gaan naar halo"), (THREE.id, 0, "halo")]
    assert told["found"][0]["start"] == 1.0
    assert local.get("search?text=hal&whole=1").json() == {"found": [], "total": 0}
    assert local.get("search?text=hal&whole=0").json()["total"] == 3
    assert local.get("search?text=HALO&case=1").json()["total"] == 0
    assert local.get("search?text=nee&speaker=A").json()["total"] == 0
    for nothing in ("", "text=", "text=%20", "text=%00"):
        assert "nothing to look for" in fault(local.get(f"search?{nothing}"), 400)


def test_a_word_is_replaced_everywhere_and_given_back_as_one(local: Client):
    told = local.post("replace", {"find": "halo", "replace": r"hallo \1"}).json()
    assert (told["changed"], told["left"]) == (3, 0)
    assert texts(local, ONE.id) == [r"eh hallo \1", "ja nee"] and texts(local, THREE.id) == [
        r"hallo \1",
        "nee",
    ]
    assert local.clip(ONE.id)["history"][0]["batch"] == told["batch"]
    moved = local.save(written(local.clip(TWO.id), "anders")).json()
    undone = local.post(f"batches/{told['batch']}/undo").json()
    assert undone == {"clips": 2, "left": 1}
    assert texts(local, ONE.id) == ["eh halo", "ja nee"] and kept(local.clip(TWO.id)) == kept(moved)


def test_a_replacement_that_comes_twice_is_done_once(local: Client):
    wanted = {"find": "nee", "replace": "nee nee"}
    once, again = (local.post("replace", wanted, **{"Idempotency-Key": "same"}).json() for _ in range(2))
    assert once == again and once["changed"] == 2
    assert texts(local, ONE.id)[1] == "ja nee nee" and local.clip(ONE.id)["version"] == 1


def test_only_what_a_speaker_says_is_replaced(local: Client):
    assert local.post("replace", {"find": "nee", "replace": "ja", "speaker": "A"}).json()["changed"] == 0
    assert local.post("replace", {"find": "nee", "replace": "ja", "speaker": "B"}).json()["changed"] == 2


def test_what_could_not_be_said_is_left(local: Client):
    assert local.post("replace", {"find": "halo", "replace": "[S5]"}).json() | {"batch": ""} == {
        "changed": 0,
        "left": 3,
        "batch": "",
    }
    assert fault(local.post("replace", {"find": "", "replace": "x"}), 400)


def test_who_saves_meanwhile_loses_nothing(local: Client, catalogue, monkeypatch):
    """Somebody saves a clip between its being read and its being replaced."""
    read, between = corrections.read, [written(local.clip(TWO.id), "wij gaan nu naar halo")]

    def slowly(database, clip):
        found = read(database, clip)
        if clip == TWO.id and between:
            assert local.save(between.pop()).status_code == 200
        return found

    monkeypatch.setattr(words.corrections, "read", slowly)
    assert local.post("replace", {"find": "halo", "replace": "hallo"}).json()["changed"] == 3
    assert texts(local, TWO.id) == ["wij gaan nu naar hallo"]


@pytest.mark.parametrize("page", ["suggestions?clip=nobody"])
def test_an_unknown_clip_is_not_found(local: Client, page):
    assert fault(local.get(page), 404)


def test_corrections_of_a_word_are_offered_again(local: Client):
    assert local.get(f"suggestions?clip={THREE.id}").json() == []
    assert local.save(written(local.clip(ONE.id), "eh hallo")).status_code == 200
    assert local.get(f"suggestions?clip={THREE.id}").json() == [
        {"turn": 0, "from": "halo", "to": "hallo", "times": 1}
    ]
