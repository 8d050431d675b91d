from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asr.prepare.sources import EAF, TEXTGRID_SHORT, save_cgn
from corpus.fakes import FakeCodec, save_manifest, save_tone, turn
from corpus.steps.test_steps import Hears, Writes
from rosella.asr.examples import read_examples
from rosella.asr.prepare.run import Preparation, assign_splits, prepare
from rosella.cli import main
from rosella.corpus import Corpus, Models
from rosella.corpus.catalogue.corrections import Change, read, save
from rosella.corpus.steps.segment import Cutting
from rosella.errors import UserError
from rosella.progress import unseen


def run(source, out, **how):
    return prepare(source, out, Preparation(**how), unseen)


def test_cgn_from_end_to_end(tmp_path):
    source, out = save_cgn(tmp_path / "CGN_2.0.3"), tmp_path / "out"
    report = run(source, out)
    dutch = [e for e in read_examples(out) if e.language == "nl"]
    assert [e.text for e in dutch] == [
        "[S1] d- dus uh België... [S2] (laughs) ja.",
        "[S1] cool hè? [S2] R&B",
    ]
    assert dutch[0].text_clean == "[S1] dus België... [S2] ja."
    assert dutch[0].speakers == ("N01168", "N01169")
    assert (dutch[0].start, dutch[0].end) == (0.151, 4.7)
    assert {e.language for e in read_examples(out)} == {"nl", "vl"}
    assert report["format"] == "Corpus Gesproken Nederlands"
    assert report["applied"]["ggg → (laughs)"] == 2
    assert report["applied"]["recordings without the layer pri"] == 1
    assert report["reject_reasons"]["unintelligible word (xxx)"]["spans"] == 2
    assert report["rejects"][0] == {
        "recording": "comp-a/nl/fn000248",
        "start": 5.0,
        "end": 7.0,
        "reason": "unintelligible word (xxx)",
    }


def test_a_folder_of_elan_and_praat_files(tmp_path):
    for name, content in (("a/talk.eaf", EAF), ("b/chat.TextGrid", TEXTGRID_SHORT)):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
        save_tone(path.parent / ("my talk.wav" if name.endswith("eaf") else "chat.wav"), 6.0)
    run(tmp_path / "in", tmp_path / "out", language="nl")
    elan, praat = sorted(read_examples(tmp_path / "out"), key=lambda e: e.id)
    assert elan.text == "[S1] Uhm, wa- wat zei je? [S2] (laughs) niks (coughs)"
    assert elan.text_clean == "[S1] Wat zei je? [S2] niks"
    assert elan.speakers == ("Anna", "Ben")
    assert praat.text == '[S1] hij zei "nee" of 3 keer ja [S2] uh 100 keer (laughs)'
    assert elan.language == praat.language == "nl"
    assert {elan.split, praat.split} == {"train", "validation"}


def test_a_manifest_keeps_its_own_clean_text(tmp_path):
    save_tone(tmp_path / "in/a.wav", 6.0)
    save_tone(tmp_path / "in/b.wav", 3.0, seed=1)
    manifest = save_manifest(
        tmp_path / "in/manifest.jsonl",
        [
            {
                "audio": "a.wav",
                "language": "nl",
                "turns": [
                    turn(0.5, 2.0, "anna", "eh nou ja hoi", text_clean="Hoi."),
                    turn(2.1, 4.0, "ben", "ik ik ga (laughs)"),
                ],
            },
            {"audio": "b.wav", "language": "nl", "text": "[S1] uh ja [S2] nee"},
        ],
    )
    run(manifest, tmp_path / "out")
    dialogue, whole = read_examples(tmp_path / "out")
    assert dialogue.text_clean == "[S1] Hoi. [S2] ik ga"
    assert (whole.text, whole.text_clean, whole.end) == ("[S1] uh ja [S2] nee", "[S1] ja [S2] nee", 3.0)
    run(manifest, tmp_path / "out", clean=False)
    dialogue, whole = read_examples(tmp_path / "out")
    assert dialogue.text_clean == "[S1] Hoi. [S2] ik ik ga (laughs)"
    assert whole.text_clean is None


def test_examples_fit_the_window_of_the_recogniser(tmp_path):
    save_tone(tmp_path / "a.wav", 40.0)
    turns = [turn(2.0 * i, 2.0 * i + 1.9, "anna", f"zin {i}.") for i in range(20)]
    manifest = save_manifest(tmp_path / "manifest.jsonl", [{"audio": "a.wav", "turns": turns}])
    run(manifest, tmp_path / "out", cutting=Cutting(max_seconds=10.0))
    examples = read_examples(tmp_path / "out")
    assert max(e.seconds for e in examples) <= 10.0
    assert sum(e.text.count("zin") for e in examples) == 20


def test_a_recording_that_cannot_be_used_is_named_and_the_rest_goes_on(tmp_path):
    source = save_cgn(tmp_path / "cgn")
    (source / "data/audio/wav/comp-k/vl/fv600001.wav").unlink()
    report = run(source, tmp_path / "out")
    assert report["recordings"] == {"found": 2, "used": 1, "failed": 1}
    assert "fv600001.wav does not exist" in report["failed"][0]["reason"]
    assert "fv600001" in (tmp_path / "out/report.md").read_text()
    (source / "data/audio/wav/comp-a/nl/fn000248.wav").write_bytes(b"no audio")
    with pytest.raises(UserError, match=r"None of the 2 recordings .* comp-a/nl/fn000248: .*not audio"):
        run(source, tmp_path / "out2")
    assert not (tmp_path / "out2").exists()


def test_a_source_without_words_says_why(tmp_path):
    save_tone(tmp_path / "a.wav", 4.0)
    lines = [{"audio": "a.wav", "turns": [turn(0.0, 2.0, "anna", "ja xxx")]}]
    manifest = save_manifest(tmp_path / "manifest.jsonl", lines)
    with pytest.raises(UserError, match=r"most spans were rejected as unintelligible word \(xxx\)"):
        run(manifest, tmp_path / "out")
    with pytest.raises(UserError, match="does not exist"):
        run(tmp_path / "nowhere", tmp_path / "out")


def test_splits_hold_recordings_out_and_a_recording_keeps_its_side():
    names = [f"comp-a/nl/fn{number:06d}" for number in range(400)]
    splits = assign_splits(names)
    assert {split: list(splits.values()).count(split) for split in ("validation", "test")} == {
        "validation": pytest.approx(20, abs=10),
        "test": pytest.approx(20, abs=10),
    }
    fewer = assign_splits(names[:200])
    assert all(splits[name] == split for name, split in fewer.items())
    assert sorted(assign_splits(names[:3]).values()) == ["test", "train", "validation"]
    assert sorted(assign_splits(names[:2]).values()) == ["train", "validation"]
    assert assign_splits(names[:1]) == {names[0]: "train"}
    for count in range(1, 40):
        assert "train" in assign_splits(names[:count]).values()


def test_the_command(tmp_path, capsys):
    source, out = save_cgn(tmp_path / "cgn"), tmp_path / "out"
    notation = tmp_path / "notation.yaml"
    notation.write_text("words: {ggg: ''}\n")
    with pytest.raises(SystemExit) as stop:
        main(["asr", "prepare", str(source), "--out", str(out), "--notation", str(notation), "--no-clean"])
    assert not stop.value.code
    said = capsys.readouterr().out
    assert "validation: 2 examples" in said
    assert "2 spans rejected, 0 recordings failed" in said
    assert not any("(laughs)" in e.text or e.text_clean for e in read_examples(out))
    with pytest.raises(SystemExit) as stop:
        main(["asr", "prepare", str(source), "--out", str(out), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads((out / "report.json").read_text())
    with pytest.raises(SystemExit) as stop:
        main(["asr", "prepare", str(tmp_path / "nothing"), "--out", str(out)])
    assert stop.value.code == 2


def test_channels_that_cancel_each_other_are_refused(tmp_path):
    save_tone(tmp_path / "a.wav", 6.0)
    wave, rate = soundfile.read(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", np.stack([wave, -wave], 1), rate)
    save_manifest(tmp_path / "manifest.jsonl", [{"audio": "a.wav", "turns": [turn(0.5, 5.0, "a", "hoi")]}])
    with pytest.raises(UserError, match="its channels cancel each other: save one of them"):
        run(tmp_path / "manifest.jsonl", tmp_path / "out")


@pytest.fixture
def corpus_directory(tmp_path):
    """Three utterances: from a manifest, accepted by a person, and as a recogniser wrote it."""
    with Corpus.open(tmp_path / "corpus", create=True) as corpus:
        corpus.add(save_manifest(tmp_path / "m.jsonl", [_said(tmp_path / "a.wav")]))
        corpus.add(save_tone(tmp_path / "b.wav", 10.0, seed=1))
        texts = ["[S1] eh een", "[S1] eh twee", "[S1] drie"]
        corpus.run(Models(FakeCodec(), diarizer=Hears(), transcriber=Writes(texts)))
        (recording,) = [r for r in corpus.catalogue.done("scan", "") if r.path.endswith("b.wav")]
        first, second, _ = corpus.catalogue.utterances(recording.id)
        for clip, verdict, text in ((first.id, "accepted", "eh één"), (second.id, None, "eh tweede")):
            state = read(corpus.catalogue, clip).state
            state = replace(state, verdict=verdict, turns=(replace(state.turns[0], text=text),))
            save(corpus.catalogue, "anna", [Change(clip, 0, state, "edit")], clip[33:])
    return tmp_path / "corpus"


def _said(path):
    save_tone(path, 6.0)
    return {
        "audio": path.name,
        "language": "nl",
        "turns": [turn(0.5, 2.5, "anna", "eh hoi"), turn(2.6, 4, "ben")],
    }


def test_a_corpus_gives_what_came_with_it_or_from_people_cut_as_it_is_there(corpus_directory, tmp_path):
    report = run(corpus_directory, tmp_path / "out")
    given, corrected = sorted(read_examples(tmp_path / "out"), key=lambda e: e.text)
    assert (corrected.text, corrected.text_clean, corrected.language) == ("[S1] eh één", "[S1] één", "nl")
    assert (given.text, given.speakers, given.start) == ("[S1] eh hoi [S2] eh hallo", ("anna", "ben"), 0.4)
    assert (corrected.start, corrected.end) == (0.9, 3.5) and corrected.audio == tmp_path / "b.wav"
    assert report["format"] == "corpus directory" and report["recordings"]["found"] == 2


def test_of_a_corpus_can_be_chosen(corpus_directory, tmp_path, capsys):
    command = ["asr", "prepare", str(corpus_directory), "--out", str(tmp_path / "out"), "--where"]
    for condition, texts in (
        ("transcript_source=edited", {"[S1] eh tweede"}),
        ("transcript_source!=manifest", {"[S1] eh één", "[S1] eh tweede", "[S1] drie"}),
    ):
        with pytest.raises(SystemExit, match="0"):
            main([*command, condition])
        assert {e.text for e in read_examples(tmp_path / "out")} == texts
    report = run(corpus_directory, tmp_path / "out", cutting=Cutting(max_seconds=3.0), clean=False)
    assert report["reject_reasons"]["longer than 3 s"]["spans"] == 1
    assert [e.text_clean for e in read_examples(tmp_path / "out")] == [None]
    with pytest.raises(SystemExit, match="2"):
        main(["asr", "prepare", str(tmp_path / "m.jsonl"), *command[3:], "show=x"])
    assert "only from one can --where choose" in capsys.readouterr().err
