"""Clips over HTTP: opened, saved, saved again, saved by two, undone."""

from __future__ import annotations

import io
import threading
import wave

import numpy as np
import pytest

from annotate.small import FIRST, ONE, SECOND, THREE, TWO, client_of, fault, joined, kept, written
from rosella.annotate import queue
from rosella.annotate.desk import Desk
from rosella.annotate.settings import Limits


def test_a_clip_is_shown_with_all_that_is_known_of_it(local):
    view = local.clip(ONE.id)
    assert [turn["text"] for turn in view["state"]["turns"]] == ["eh halo", "ja nee"]
    assert view["state"] == view["draft"] and (view["version"], view["source"]) == (0, "model")
    assert view["limits"] == {"start": 0.0, "end": 7.9}
    assert (view["audio"]["start"], view["audio"]["end"]) == (0.0, 7.6)
    assert view["speakers"] == ["A", "B"] and view["title"] == "r0.wav" and view["history"] == []
    assert view["expected"]["errors"] > 0 and view["people"] == []


def test_the_next_clip_is_claimed_until_nothing_is_left(local):
    seen = []
    while (answer := local.post("next", {"after": seen[-1]} if seen else {})).status_code == 200:
        view = answer.json()
        seen.append(view["id"])
        assert (
            local.save({**view, "state": {**view["state"], "verdict": "accepted"}}, "accept").status_code
            == 200
        )
    assert answer.status_code == 204 and sorted(seen) == sorted([ONE.id, TWO.id, THREE.id])


def test_who_comes_while_the_queue_is_filled_waits_for_it(alone, monkeypatch):
    refresh, asked = queue.refresh, threading.Event()

    def slowly(*given):
        assert asked.wait(20)
        return refresh(*given)

    next_clip = queue.next_clip

    def noted(*given):
        found = next_clip(*given)
        asked.set()
        return found

    monkeypatch.setattr(queue, "refresh", slowly)
    monkeypatch.setattr(queue, "next_clip", noted)
    with client_of(alone) as client:
        assert client.post("next").status_code == 200


def test_who_reads_a_clip_as_the_second_sees_nothing_of_the_first(catalogue):
    desk = Desk(catalogue, "talks", "/talks", local=False, limits=Limits(twice=1.0))
    with client_of(desk) as client:
        anna, ben = joined(desk, client, "Anna", "annotator"), joined(desk, client, "Ben", "annotator")
        taken = anna.post("next").json()
        changed = written(taken, "eh hallo", verdict="accepted")
        assert anna.save(changed, "accept").status_code == 200
        seen = {}
        while (answer := ben.post("next", {"after": next(reversed(seen), None)})).status_code == 200:
            view = answer.json()
            if view["id"] in seen:
                break
            seen[view["id"]] = view
            if view["id"] == taken["id"]:
                break
        view = seen[taken["id"]]
        assert (view["version"], view["history"]) == (0, []) and view["state"] == view["draft"]
        answer = ben.save({**view, "state": {**view["state"], "verdict": "accepted"}}, "accept")
        assert fault(answer, 409) and answer.json()["current"]["state"]["turns"][0]["text"] == "eh hallo"


def test_what_is_saved_is_there_with_its_history(local):
    answer = local.save(written(local.clip(ONE.id), "eh hallo", verdict="accepted"), "accept")
    view = answer.json()
    assert answer.status_code == 200 and view["version"] == 1
    assert kept(view) == kept(local.clip(ONE.id))
    assert view["state"]["turns"][0]["text"] == "eh hallo" and view["draft"]["turns"][0]["text"] == "eh halo"
    (row,) = view["history"]
    assert (row["action"], row["author"], row["version"]) == ("accept", "local", 1)


def test_a_request_that_comes_twice_is_done_once(local):
    change = written(local.clip(ONE.id), "eh hallo")
    once, again = (local.save(change, **{"Idempotency-Key": "same"}) for _ in range(2))
    assert (once.status_code, again.status_code) == (200, 200)
    assert once.json()["version"] == again.json()["version"] == local.clip(ONE.id)["version"] == 1


def test_of_two_the_second_is_told_what_the_first_made_of_it(shared_people):
    anna, ben = shared_people
    before = anna.clip(ONE.id)
    assert anna.save(written(before, "eh hallo")).status_code == 200
    answer = ben.save(written(before, "eh hollo"))
    assert "corrected this clip meanwhile" in fault(answer, 409)
    current = answer.json()["current"]
    assert current["version"] == 1 and current["state"]["turns"][0]["text"] == "eh hallo"
    assert ben.save(written(current, "eh hollo")).json()["version"] == 2


def test_an_undo_is_a_row_and_can_be_undone(local):
    saved = local.save(written(local.clip(ONE.id), "eh hallo")).json()
    number = saved["history"][-1]["number"]
    (undone,) = local.post(f"corrections/{number}/undo").json()["clips"]
    assert undone["state"] == saved["draft"] and undone["version"] == 2
    (redone,) = local.post(f"corrections/{undone['history'][-1]['number']}/undo").json()["clips"]
    assert redone["state"] == saved["state"] and redone["version"] == 3
    assert "no correction" in fault(local.post("corrections/999/undo"), 400)
    assert local.save(written(redone, "anders")).status_code == 200
    assert "meanwhile" in fault(local.post(f"corrections/{number}/undo"), 409)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"state": {"turns": []}}, "start"),
        ({"version": -1}, "version cannot be used"),
        ({"version": 2**80}, "version cannot be used"),
        ({"action": "destroy"}, "action cannot be used"),
        ({"seconds": "NaN"}, "seconds cannot be used"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(local, change, sentence):
    view = local.clip(ONE.id)
    body = {"version": 0, "state": view["state"], "action": "edit", "seconds": 1.0} | change
    assert sentence in fault(local.ask("PUT", f"clips/{ONE.id}", body), 400)
    assert kept(local.clip(ONE.id)) == kept(view)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[S2] hoi", "speaker tag"),
        ("[S5]", "unknown"),
        ("nul\x00", "control character"),
        ("een\x01", "control character"),
        ("\ud800", "surrogate"),
        ("<pad>", "<pad>"),
    ],
)
def test_what_cannot_be_said_is_one_sentence_and_changes_nothing(local, text, sentence):
    view = local.clip(ONE.id)
    assert sentence in fault(local.save(written(view, text)), 400)
    assert kept(local.clip(ONE.id)) == kept(view)


def test_times_that_are_none_are_refused(local):
    view = local.clip(ONE.id)
    body = '{"version": 0, "action": "edit", "state": {"start": NaN, "end": 1e999, "turns": []}}'
    headers = {"X-CSRF-Token": local.csrf, "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = local.http.put(f"/api/clips/{ONE.id}", content=body, headers=headers)
    assert "finite number" in fault(answer, 400)
    state = {**view["state"], "end": 9.0}
    assert "between its neighbours" in fault(local.save({**view, "state": state}), 400)


def test_a_write_needs_a_key(local):
    view = local.clip(ONE.id)
    body = {"version": 0, "state": view["state"], "action": "comment"}
    headers = {"X-CSRF-Token": local.csrf}
    answer = local.http.put(f"/api/clips/{ONE.id}", json=body, headers=headers)
    assert "Idempotency-Key" in fault(answer, 400)
    assert "Idempotency-Key" in fault(local.save(view, **{"Idempotency-Key": "k" * 65}), 400)


@pytest.mark.parametrize(
    "id", ["nobody", "../../etc/passwd", "a" * 32, f"{'c' * 32}-00000000-00001000", "%00", "🦜"]
)
def test_an_unknown_clip_is_not_found(local, id):
    for path in ("", "/audio", "/peaks"):
        assert fault(local.get(f"clips/{id}{path}"), 404)
    assert fault(
        local.ask(
            "PUT",
            f"clips/{id}",
            {"version": 0, "state": {"start": 0, "end": 1, "turns": []}, "action": "edit"},
        ),
        404,
    )


def test_what_looks_like_a_page_is_sent_as_text(local):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    view = local.save(written(local.clip(ONE.id), evil, comment=evil)).json()
    answer = local.get(f"clips/{ONE.id}")
    assert view["state"]["turns"][0]["text"] == view["state"]["comment"] == evil
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_the_sound_of_a_clip_is_that_of_its_peaks(local):
    view = local.clip(TWO.id)
    sound = local.http.get(view["audio"]["url"])
    peaks = local.http.get(view["audio"]["peaks_url"]).json()
    with wave.open(io.BytesIO(sound.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert (peaks["start"], peaks["rate"]) == (view["audio"]["start"], 100)
    assert peaks["end"] - peaks["start"] == pytest.approx(len(samples) / 24_000)
    blocks = samples[: len(samples) // 240 * 240].reshape(-1, 240) / 32768
    np.testing.assert_allclose(
        np.array(peaks["peaks"])[: len(blocks)], np.stack([blocks.min(1), blocks.max(1)], 1), atol=1e-4
    )
    part = local.http.get(view["audio"]["url"], headers={"Range": "bytes=44-99"})
    assert part.status_code == 206 and part.content == sound.content[44:100]


def test_faults_of_texts_are_told_while_they_are_written(local):
    turns = local.clip(ONE.id)["state"]["turns"]
    turns[1]["text"] = "(laguhs) ja"
    answer = local.post("check", {"turns": turns}).json()
    assert answer == {
        "faults": [
            {"turn": 1, "field": "text", "message": "(laguhs) is no event of the list: do you mean (laughs)?"}
        ]
    }


def test_a_recording_that_was_removed_is_gone(local, catalogue):
    view = local.clip(ONE.id)
    assert local.http.get(view["audio"]["url"]).status_code == 200
    remove(catalogue, FIRST)
    assert "removed" in fault(local.get(f"clips/{ONE.id}"), 404)
    assert "removed" in fault(local.http.get(view["audio"]["url"]), 404)
    assert fault(local.save(view), 404)
    assert local.clip(THREE.id)["recording"] == SECOND


def remove(catalogue, recording: str) -> None:
    import sqlalchemy as sa

    from rosella.corpus.catalogue.tables import RecordingRow

    with catalogue.session() as session:
        session.execute(sa.delete(RecordingRow).where(RecordingRow.id == recording))
