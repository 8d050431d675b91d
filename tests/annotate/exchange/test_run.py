"""Files of a corpus and back, on SQLite and on PostgreSQL: what is stored, under whose name, and what is left alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from corpus.fakes import taken
from rosella.annotate import queue
from rosella.annotate.exchange.formats import FORMATS
from rosella.annotate.exchange.run import export, import_files, undo
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.annotating import JudgedRow
from rosella.corpus.catalogue.corrections import Change, history, read, rename_speaker, save
from rosella.corpus.catalogue.store import Source
from rosella.corpus.stage import STAGES, StageResult
from rosella.errors import UserError
from rosella.records import Recording, Turn, Utterance, utterance_id

ID, OTHER = "ab" * 16, "cd" * 16
TURNS = [
    Turn(1.0, 3.0, "Anna", "eh halo", "Hallo"),
    Turn(3.5, 6.0, "Ben", 'ja "nee"', "Ja"),
    Turn(20.0, 25.0, "Anna", "dag dag", "Dag"),
]


def said(recording, start, end, text, clean, speakers):
    name = utterance_id(recording, start, end)
    return Utterance(name, recording, start, end, text, clean, speakers, speakers[0], "nl")


def utterances(recording):
    return [
        said(recording, 0.9, 6.1, '[S1] eh halo [S2] ja "nee"', "[S1] Hallo [S2] Ja", ("Anna", "Ben")),
        said(recording, 19.9, 25.1, "[S1] dag dag", "[S1] Dag", ("Anna",)),
    ]


FIRST, SECOND = (utterance.id for utterance in utterances(ID))


def add(catalogue, recording, path):
    catalogue.add(Recording(recording, path, 60.0, 16000, 1, language="nl"), Source(path, 1, 1), TURNS)
    catalogue.finish(taken(catalogue, recording, "segment"), StageResult(utterances(recording)))
    for stage in STAGES[3:]:
        catalogue.finish(taken(catalogue, recording, stage), StageResult())


@pytest.fixture
def catalogue(empty):
    add(empty, ID, "/audio/talk.wav")
    return empty


every_format = pytest.mark.parametrize("format", FORMATS)


def exported(catalogue, format, tmp_path, name=None):
    return next(export(catalogue, format, tmp_path / "out", name))


def imported(catalogue, source):
    (result,) = import_files(catalogue, source, "eva")
    return result


def texts(catalogue, clip=FIRST):
    return [turn.text for turn in read(catalogue, clip).state.turns]


def edited(path, old, new):
    content = path.read_text("utf-8")
    assert old in content
    path.write_text(content.replace(old, new), "utf-8")
    return path


def correct(catalogue, clip=FIRST, key="1", **values):
    now = read(catalogue, clip)
    save(catalogue, "dirk", [Change(clip, now.version, replace(now.state, **values), "edit")], key)


@every_format
def test_what_is_exported_and_imported_changes_nothing(catalogue, tmp_path, format):
    correct(catalogue, verdict="rejected", reason="noise: a lot", comment="twee\nregels")
    before = read(catalogue, FIRST)
    result = imported(catalogue, exported(catalogue, format, tmp_path))
    assert (result.changed, result.batch, result.count("same")) == (0, None, 2)
    assert read(catalogue, FIRST) == before and read(catalogue, SECOND).version == 0


@every_format
def test_an_edit_arrives_once_and_can_be_undone(catalogue, tmp_path, format):
    path = edited(exported(catalogue, format, tmp_path), "eh halo", "eh hallo")
    before = read(catalogue, FIRST)
    result = imported(catalogue, path)
    assert (result.changed, result.count("same")) == (1, 1)
    (row,) = history(catalogue)
    assert (row.action, row.author, row.batch, row.clip) == ("import", "eva", result.batch, FIRST)
    clean = "hallo" if format == "srt" else "Hallo"  # by rule, where the file has no clean texts
    turn = replace(before.state.turns[0], text="eh hallo", text_clean=clean)
    assert read(catalogue, FIRST).state == replace(before.state, turns=(turn, before.state.turns[1]))
    assert catalogue.utterances(ID)[0].transcript_source == "edited"
    again = imported(catalogue, path)
    assert (again.changed, again.count("left"), len(list(history(catalogue)))) == (0, 0, 1)
    assert undo(catalogue, "eva", result.batch) == (1, 0)
    assert read(catalogue, FIRST).state == before.state
    assert imported(catalogue, path).changed == 1, "undone, it may be imported anew"


@every_format
def test_what_people_changed_meanwhile_is_left_to_them(catalogue, tmp_path, format):
    correct(catalogue, SECOND, comment="x")
    path = exported(catalogue, format, tmp_path)
    edited(path, "eh halo", "eh hallo")
    edited(path, "dag dag", "dag, dag!")
    turns = read(catalogue, FIRST).state.turns
    correct(catalogue, key="2", turns=(replace(turns[0], text="eh hello"), turns[1]))
    result = imported(catalogue, path)
    assert (result.changed, result.count("left")) == (1, 1)
    assert texts(catalogue) == ["eh hello", 'ja "nee"'] and texts(catalogue, SECOND) == ["dag, dag!"]


@every_format
def test_a_file_edited_after_a_correction_was_exported_is_taken(catalogue, tmp_path, format):
    correct(catalogue, verdict="accepted")
    path = edited(exported(catalogue, format, tmp_path), "eh halo", "eh hallo")
    assert imported(catalogue, path).changed == 1 and texts(catalogue)[0] == "eh hallo"
    assert read(catalogue, FIRST).state.verdict == "accepted"


@every_format
def test_a_file_that_does_not_say_what_it_was_written_of_changes_only_what_nobody_corrected(
    catalogue, tmp_path, format
):
    path = exported(catalogue, format, tmp_path)
    mark = path.stem.removeprefix("talk-")
    path = path.rename(path.with_stem("talk"))
    path.write_text(path.read_text("utf-8").replace(mark, ""), "utf-8")
    edited(path, "eh halo", "eh hallo")
    edited(path, "dag dag", "dag, dag!")
    turns = read(catalogue, FIRST).state.turns
    correct(catalogue, turns=(replace(turns[0], text="eh hello"), turns[1]))
    result = imported(catalogue, path)
    assert (result.changed, result.count("left"), texts(catalogue)[0]) == (1, 1, "eh hello")


@every_format
def test_names_given_since_hold(catalogue, tmp_path, format):
    path = edited(exported(catalogue, format, tmp_path), "eh halo", "eh hallo")
    rename_speaker(catalogue, "dirk", ID, "Anna", "Anneke", "1")
    assert imported(catalogue, path).changed == 1
    assert [turn.speaker for turn in read(catalogue, FIRST).state.turns] == ["Anneke", "Ben"]


def test_what_a_file_was_written_of_goes_by_the_present_names(catalogue, tmp_path):
    correct(catalogue, key="0", comment="nul")
    correct(catalogue, comment="een")
    rename_speaker(catalogue, "dirk", ID, "Anna", "Anneke", "2")
    path = exported(catalogue, "elan", tmp_path)
    correct(catalogue, key="3", comment="twee")
    result = imported(catalogue, path)
    assert (result.changed, result.count("left"), result.count("same")) == (0, 0, 2)


def test_a_file_of_later_corrections_than_there_are_does_not_say_what_it_was_written_of(catalogue, tmp_path):
    path = exported(catalogue, "srt", tmp_path)
    path = edited(path.rename(path.with_stem(f"talk-{ID[:12]}-999")), "eh halo", "eh hallo")
    correct(catalogue, comment="dit is een ander verleden")
    assert imported(catalogue, path).count("left") == 1


def test_the_queue_hears_of_what_was_accepted(catalogue, tmp_path):
    queue.refresh(catalogue)
    path = exported(catalogue, "textgrid", tmp_path)
    verdicts = path.read_text("utf-8").rindex('name = "VERDICT"')
    first = path.read_text("utf-8").index(
        'text = ""', path.read_text("utf-8").index("xmax = 6.100", verdicts)
    )
    content = path.read_text("utf-8")
    path.write_text(content[:first] + 'text = "accepted"' + content[first + len('text = ""') :], "utf-8")
    result = imported(catalogue, path)
    assert result.changed == 1 and read(catalogue, FIRST).state.verdict == "accepted"
    with catalogue.session() as session:
        judged = [(row.clip, row.author, row.verdict) for row in session.scalars(sa.select(JudgedRow))]
    assert judged == [(FIRST, "eva", "accepted")]
    assert queue.next_clip(catalogue, "fay").clip == SECOND
    assert queue.next_clip(catalogue, "gijs") is None
    undo(catalogue, "eva", result.batch)
    queue.refresh(catalogue)
    assert queue.next_clip(catalogue, "gijs").clip == FIRST


@pytest.mark.parametrize("format", ["labelstudio", "elan", "textgrid"])
def test_verdicts_arrive(catalogue, tmp_path, format):
    correct(catalogue, verdict="second", comment="hoor ik dit goed?")
    path = exported(catalogue, format, tmp_path)
    old, new = ('"second"', '"rejected"') if format == "labelstudio" else ("second", "rejected: muziek")
    edited(path, old, new)
    edited(path, "hoor ik dit goed?", "nee")
    assert imported(catalogue, path).changed == 1
    state = read(catalogue, FIRST).state
    assert (state.verdict, state.comment) == ("rejected", "nee")
    assert state.reason == (None if format == "labelstudio" else "muziek")
    assert [utterance.id for utterance in catalogue.utterances(ID)] == [SECOND]


def test_a_wrong_verdict_is_named(catalogue, tmp_path):
    correct(catalogue, verdict="second")
    path = edited(exported(catalogue, "textgrid", tmp_path), '"second"', '"perhaps"')
    with pytest.raises(
        UserError, match=r"at 0\.9 s the verdict 'perhaps' is none of accepted, rejected: REASON"
    ):
        imported(catalogue, path)


@every_format
def test_names_of_files_are_safe_and_no_others(catalogue, tmp_path, format):
    add(catalogue, OTHER, "/else/talk.wav")
    add(catalogue, "ef" * 16, "/else/../?*  ünïcode " + "x" * 90 + ".wav")
    paths = [path for path in export(catalogue, format, tmp_path / "out") if path.suffix != ".xml"]
    assert len({path.name for path in paths}) == 3
    assert {path.name for path in paths} >= {
        f"talk-{id[:12]}-0{FORMATS[format].suffix}" for id in (ID, OTHER)
    }
    assert all(len(path.name.encode()) < 130 and " " not in path.name for path in paths)
    assert all(imported(catalogue, path).changed == 0 for path in paths)
    assert exported(catalogue, format, tmp_path, "/else/talk.wav").name.startswith(f"talk-{OTHER[:12]}")
    for name, message in (
        ("talk.wav", "2 recordings fit"),
        ("gone.wav", "no recording of the corpus goes by"),
    ):
        with pytest.raises(UserError, match=message):
            exported(catalogue, format, tmp_path, name)


def test_one_bad_file_of_a_folder_and_nothing_is_imported(catalogue, tmp_path):
    path = edited(exported(catalogue, "elan", tmp_path), "eh halo", "eh hallo")
    bad = path.with_name("bad.eaf")
    bad.write_text("<ANNOTATION_DOCUMENT>", "utf-8")
    with pytest.raises(UserError, match=r"Nothing was imported: bad\.eaf: annotation is not valid XML"):
        list(import_files(catalogue, path.parent, "eva"))
    assert not list(history(catalogue))


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("eh [S2] halo", r"at 0\.9 s: Turn 1: The text holds a speaker tag"),
        ("eh [S7] halo", r"at 0\.9 s: Turn 1: The speaker tag \[S7\] is unknown"),
        ("&lt;pad&gt;", r"at 0\.9 s: Turn 1: The text holds a literal <pad>"),
    ],
)
def test_what_no_text_may_hold_is_refused_with_the_place(catalogue, tmp_path, new, message):
    path = edited(exported(catalogue, "elan", tmp_path), "eh halo", new)
    edited(path, "dag dag", "dag, dag!")
    with pytest.raises(UserError, match=message):
        imported(catalogue, path)
    assert not list(history(catalogue))


def test_a_save_in_between_is_seen(catalogue, tmp_path, monkeypatch):
    path = edited(exported(catalogue, "elan", tmp_path), "eh halo", "eh hallo")
    edited(path, "dag dag", "dag, dag!")
    saving = corrections.save

    def late(*arguments, **more):
        monkeypatch.setattr(corrections, "save", saving)
        correct(catalogue, comment="eerst")
        return saving(*arguments, **more)

    monkeypatch.setattr(corrections, "save", late)
    result = imported(catalogue, path)
    assert (result.changed, result.count("left")) == (1, 1)
    assert read(catalogue, FIRST).state.comment == "eerst" and texts(catalogue)[0] == "eh halo"


def test_a_project_of_label_studio_is_one_file_and_one_batch(catalogue, tmp_path):
    add(catalogue, OTHER, "/else/talk.wav")
    tasks = [
        task
        for path in export(catalogue, "labelstudio", tmp_path / "out")
        if path.suffix == ".json"
        for task in json.loads(edited(path, "dag dag", "dag, dag!").read_text("utf-8"))
    ]
    project = tmp_path / "project-1-at-2026-03-01-10-00.json"
    project.write_text(json.dumps(tasks), "utf-8")
    result = imported(catalogue, project)
    assert result.changed == 2 and {row.batch for row in history(catalogue)} == {result.batch}
    assert undo(catalogue, "eva", result.batch) == (2, 0)


def test_there_must_be_a_batch(catalogue):
    with pytest.raises(UserError, match="No corrections were made under nothing"):
        undo(catalogue, "eva", "nothing")
