from __future__ import annotations

import pytest

from corpus.fakes import save_manifest, save_tone, turn
from rosella import cli
from rosella.corpus.catalogue.corrections import history
from rosella.corpus.project import Corpus


@pytest.fixture
def rosella(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stop.value.code or 0, output.out.strip(), output.err.strip()

    return call


@pytest.fixture
def corpus(rosella, tmp_path):
    save_tone(tmp_path / "talk.wav", 12.0)
    turns = [turn(0.5, 2.5, "Anna", "eh halo"), turn(3.0, 5.0, "Ben", "ja"), turn(9.0, 11.0, "Anna", "dag")]
    source = save_manifest(tmp_path / "manifest.jsonl", [{"audio": "talk.wav", "turns": turns}])
    assert rosella("corpus", "add", source, "--corpus", tmp_path / "c")[0] == 0
    assert rosella("corpus", "run", "--corpus", tmp_path / "c")[0] == 0
    return tmp_path / "c"


@pytest.mark.parametrize("format", ["labelstudio", "elan", "textgrid", "srt"])
def test_out_into_another_tool_back_and_undone(rosella, corpus, tmp_path, format):
    where, folder = ("--corpus", corpus), tmp_path / "out"
    code, out, _ = rosella("annotate", "export", *where, "--format", format, "--out", folder, "talk.wav")
    many = 2 if format == "labelstudio" else 1
    assert (code, out, len(list(folder.iterdir()))) == (0, f"{many} files in {folder}", many)
    (file,) = (path for path in folder.iterdir() if path.suffix != ".xml")
    code, out, _ = rosella("annotate", "import", folder, *where)
    assert (code, out) == (0, f"{file.name}: 0 clips changed, 2 as they were")
    file.write_text(file.read_text("utf-8").replace("eh halo", "eh hallo"), "utf-8")
    code, out, _ = rosella("annotate", "import", file, *where, "--author", "eva")
    start = f"{file.name}: 1 clips changed, 1 as they were; to undo: rosella annotate undo "
    assert code == 0 and out.startswith(start)
    with Corpus.open(corpus) as opened:
        assert [(row.action, row.author) for row in history(opened.catalogue)] == [("import", "eva")]
    code, out, _ = rosella("annotate", "undo", out.removeprefix(start), *where)
    assert (code, out) == (0, "1 clips are as they were")


def test_what_became_of_a_foreign_file_is_said(rosella, corpus, tmp_path):
    file = tmp_path / "talk.srt"
    times = [
        "00:00:00,400 --> 00:00:02,600",
        "00:00:02,200 --> 00:00:10,000",
        "00:00:11,500 --> 00:00:12,000",
    ]
    file.write_text("".join(f"{n}\n{time}\nAnna: ja hoor\n\n" for n, time in enumerate(times)), "utf-8")
    code, out, _ = rosella("annotate", "import", file, "--corpus", corpus)
    assert code == 0 and out.startswith(
        "talk.srt: 1 clips changed, 1 as they were; 1 clips have no words in the file and stay; "
        "1 turns lie in no clip and were passed over; 1 turns reached into another clip and were cut there; "
        "1 turns ran into the next and were ended there; to undo: "
    )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("talk.eaf", "<x", "annotation is not valid XML"),
        ("talk.json", "{}", "task 1 is not as Label Studio exports it"),
        ("other.srt", "1\n00:00:00,0 --> 00:00:01,0\nhoi\n", "no recording of the corpus goes by other.srt"),
        ("talk.txt", "hoi", "it is none of the formats that are read"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(rosella, corpus, tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content, "utf-8")
    code, _, err = rosella("annotate", "import", tmp_path / name, "--corpus", corpus)
    assert code == 2 and err.startswith(f"rosella: Nothing was imported: {name}: {sentence}")
    assert "\n" not in err and err.endswith("Correct and import again.")


def test_before_there_are_clips_there_is_nothing_to_write(rosella, tmp_path):
    save_tone(tmp_path / "talk.wav", 1.0)
    rosella("corpus", "add", tmp_path / "talk.wav", "--corpus", tmp_path / "c")
    code, out, _ = rosella(
        "annotate", "export", "--corpus", tmp_path / "c", "--format", "elan", "--out", tmp_path
    )
    assert (code, out) == (0, "There is nothing to write: no clips yet.")
