from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from annotate.exchange.talks import sheet_of
from rosella.annotate.exchange import labelstudio
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.sheet import Line, Mark, Note
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError
from rosella.records import Turn

TALK = [ClipState(0.0, 5.0, (Turn(0.5, 2.0, "Anna", "eh hallo", "Hallo"),), "rejected", "muziek", "hm")]

EXPORTED = [
    {
        "id": 1,
        "annotations": [
            {
                "id": 7,
                "completed_by": 1,
                "result": [
                    {
                        "original_length": 63.2,
                        "value": {"start": 0.512345, "end": 2.5, "channel": 0, "labels": ["Anna"]},
                        "id": "ZK3sW", "from_name": "labels", "to_name": "audio", "type": "labels", "origin": "manual",
                    },
                    {
                        "original_length": 63.2,
                        "value": {"start": 0.512345, "end": 2.5, "channel": 0, "text": ["eh hallo", "daar"]},
                        "id": "ZK3sW", "from_name": "transcript", "to_name": "audio", "type": "textarea",
                        "origin": "manual",
                    },
                    {
                        "original_length": 63.2,
                        "value": {"start": 3, "end": 4.25, "channel": 0, "labels": ["Ben"]},
                        "id": "a_-1x", "from_name": "labels", "to_name": "audio", "type": "labels", "origin": "manual",
                    },
                    {
                        "value": {"text": ["een mooi gesprek"]},
                        "id": "remark", "from_name": "remark", "to_name": "audio", "type": "textarea",
                    },
                ],
                "was_cancelled": False,
                "ground_truth": False,
                "created_at": "2026-03-09T21:52:49.513742Z",
                "updated_at": "2026-03-09T22:16:08.746926Z",
                "lead_time": 4.288,
            }
        ],
        "file_upload": "3b7e91aa-talk.wav",
        "drafts": [],
        "predictions": [],
        "data": {"audio": "/data/upload/1/3b7e91aa-talk.wav"},
        "meta": {},
        "project": 1,
    }
]  # fmt: skip


def read(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return labelstudio.read(path, lambda _: [])


def test_a_project_that_others_labelled_is_read(tmp_path):
    (sheet,) = read(tmp_path / "p.json", EXPORTED)
    assert sheet.lines == (Line(512, 2500, "Anna", "eh hallo daar"), Line(3000, 4250, "Ben", ""))
    assert sheet.media == ("/data/upload/1/3b7e91aa-talk.wav",)
    assert (sheet.mark, sheet.verdicts, sheet.comments, sheet.has_clean) == (None, None, None, False)


def test_the_latest_annotation_counts_and_no_cancelled_one(tmp_path):
    task = json.loads(json.dumps(EXPORTED[0]))
    (first,) = task["annotations"]
    later = {**first, "updated_at": "2026-04-01T00:00:00Z", "result": first["result"][:1]}
    cancelled = {**first, "updated_at": "2026-05-01T00:00:00Z", "was_cancelled": True, "result": []}
    task["annotations"] = [later, first, cancelled]
    (sheet,) = read(tmp_path / "p.json", [task])
    assert sheet.lines == (Line(512, 2500, "Anna", ""),)


def test_a_task_is_what_label_studio_imports(tmp_path):
    sheet = replace(sheet_of(TALK, FORMATS["labelstudio"]), media=("", "/my audio/talk.wav"))
    (task,) = json.loads(labelstudio.write(sheet))
    assert task["data"] == {"audio": "/data/local-files/?d=my%20audio/talk.wav", "rosella": "a1a1a1a1a1a1-7"}
    (annotation,) = task["annotations"]
    said = [(r["id"], r["from_name"], r["type"]) for r in annotation["result"]]
    assert said == [
        ("turn-1", "speaker", "labels"), ("turn-1", "transcription", "textarea"), ("turn-1", "clean", "textarea"),
        ("clip-1", "clip", "labels"), ("clip-1", "reason", "textarea"), ("clip-1", "comment", "textarea"),
        ("clip-1", "verdict", "choices"),
    ]  # fmt: skip
    assert annotation["result"][1]["value"] == {"start": 0.5, "end": 2.0, "channel": 0, "text": ["eh hallo"]}
    (back,) = read(tmp_path / "p.json", [task])
    assert (back.lines, back.mark) == (sheet.lines, Mark("a1" * 6, 7))
    assert (back.verdicts, back.comments) == ((Note(0, 5000, "rejected: muziek"),), (Note(0, 5000, "hm"),))


def test_audio_in_a_bucket_is_named_by_its_url():
    sheet = replace(sheet_of(TALK, FORMATS["labelstudio"]), media=("", "gs://bucket/talk.wav"))
    assert json.loads(labelstudio.write(sheet))[0]["data"]["audio"] == "gs://bucket/talk.wav"


def test_the_interface_has_a_control_for_every_result():
    root = ElementTree.fromstring(labelstudio.configuration(["Anna", 'B "&" <C>']))
    controls = {element.get("name") for element in root if element.get("toName") == "audio"}
    (task,) = json.loads(labelstudio.write(sheet_of(TALK, FORMATS["labelstudio"])))
    assert {result["from_name"] for result in task["annotations"][0]["result"]} == controls
    assert [label.get("value") for label in root.iter("Label")] == ["Anna", 'B "&" <C>', "clip"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "no annotated tasks"),
        ([{"data": {"audio": "a.wav"}, "predictions": EXPORTED[0]["annotations"]}], "no annotated tasks"),
        (
            [{"audio": "a.wav", "labels": []}],
            r"task 1 is not as Label Studio exports it \(data: field required",
        ),
        ([3], "task 1 is not as Label Studio exports it"),
        (json.dumps(EXPORTED).replace("0.512345", "-1"), r"annotations\.0\.result\.0\.value\.start"),
        (json.dumps(EXPORTED).replace("0.512345", "1e999"), "value.start"),
        (json.dumps(EXPORTED).replace("0.512345", "NaN"), "holds NaN"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path / "p.json", content)
