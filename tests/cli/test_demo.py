"""The demo on a tiny family with random weights: what it makes, that it resumes, that it minds its folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import tiny_dia
from evaluate.synthetic_speech import RATE, sentence
from rosella import audio
from rosella.cli import main
from rosella.cli.demo import Road, command, digest
from rosella.cli.steps import Ledger
from rosella.codec import load_codec
from rosella.codec.facts import CodecFacts
from rosella.records import Utterance, utterance_id
from rosella.shards.format import Weight, write_export, write_shard
from rosella.shards.read import Export
from rosella.weights import save_model

ENTRIES, CODEBOOKS = 16, 2
TURNS = ("aeioua", "uoiyea", "yaoeia")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory like `rosella/mini`, each part as small as can be."""
    folder = tmp_path_factory.mktemp("mini")
    _codec(folder / "codec")
    _model(folder / "model")
    _recogniser(folder / "recogniser")
    _podcast(folder / "podcast")
    _known(folder / "known", folder / "codec")
    recipe = {
        "data": {"export": "unset", "max_text_bytes": 64, "max_frames": 160, "batch_size": 2, "buckets": 1},
        "optimizer": {"lr": 1e-3, "warmup": 3},
        "steps": 3,
        "evaluate": {"every": 2, "batches": 1},
        "checkpoint": {"every": 2},
    }
    (folder / "demo.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def _codec(folder: Path) -> None:
    import torch

    from rosella.codec.mel import MelCodecConfig, MelNetwork

    torch.manual_seed(0)
    shape = {"width": 16, "blocks": 1, "num_codebooks": CODEBOOKS, "codebook_size": ENTRIES}
    MelNetwork(MelCodecConfig(**shape)).save(folder)


def _known(folder: Path, codec: Path) -> None:
    """An export of one utterance."""
    facts = CodecFacts.of(load_codec(str(codec)))
    record = Utterance(utterance_id("known", 0.0, 1.0), "known", 0.0, 1.0, "[S1] aeiou", language="yy")
    shard = write_shard(
        folder / "shards" / "a.parquet", [(record, np.zeros((50, CODEBOOKS), np.uint16))], facts
    )
    write_export(folder, facts, [shard], {record.id: Weight()}, {"known": {"seconds": 1.0}})


def _model(folder: Path) -> None:
    config = tiny_dia.shaped(CODEBOOKS, ENTRIES, tuple(range(CODEBOOKS)), 256, layers=1)
    save_model(folder, tiny_dia.model(config), config)


def _recogniser(folder: Path) -> None:
    from rosella.asr.whisper import new_recogniser

    made = new_recogniser(32, 1, 1, 2, ["en"], 32, 0)
    made.change(prompts={"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"}, short_windows=True)
    made.save(folder)


def _podcast(folder: Path) -> None:
    """Three recordings of three turns; two held-out sentences of one voice, one of them only to compete."""
    (folder / "heldout").mkdir(parents=True)
    lines = [_recording(folder, number) for number in range(3)]
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (folder / "audio").mkdir()
    alone = _recording(folder / "audio", 3)
    about = {
        "audio": f"audio/{alone['audio']}",
        "language": "en",
        "licence": "CC0-1.0",
        "consent": "synthetic speech",
    }
    (folder / "said.jsonl").write_text(json.dumps({**alone, **about}) + "\n")
    voice = {"audio": "../show0.wav", "start": 0.0, "end": 0.9, "text": f"[S1] {TURNS[0]}"}
    held = []
    for number, text in enumerate(("iyuoea", "oeaiuy")):
        audio.write(folder / "heldout" / f"{number}.wav", sentence(text, 120), RATE)
        about = {"audio": f"{number}.wav", "speaker": "anna", "language": "xx", "text": f"[S1] {text}"}
        held.append({**about, "voice": voice, "speak": number == 0})
    (folder / "heldout" / "manifest.jsonl").write_text("\n".join(json.dumps(line) for line in held))


def _recording(folder: Path, number: int) -> dict:
    waves = [sentence(text, 120 + 40 * (index % 2), seed=number) for index, text in enumerate(TURNS)]
    ends = np.cumsum([len(wave) / RATE for wave in waves])
    audio.write(folder / f"show{number}.wav", np.concatenate(waves), RATE)
    turns = [
        {
            "start": float(end) - len(wave) / RATE,
            "end": float(end),
            "speaker": ("anna", "bram")[i % 2],
            "text": text,
        }
        for i, (wave, end, text) in enumerate(zip(waves, ends, TURNS, strict=True))
    ]
    return {"audio": f"show{number}.wav", "show": f"show{number}", "language": "xx", "turns": turns}


@pytest.fixture(autouse=True)
def use_family(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rosella.mini.path", lambda name: family / name)


def run(*arguments: object) -> int:
    """Exit code of `rosella demo`."""
    with pytest.raises(SystemExit) as stop:
        main(["demo", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "demo"


def test_the_demo_ends_with_a_report(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--out", out, "--steps", 2) == 0
    said = capfd.readouterr().out
    assert said.rstrip().endswith(f"The report is {out / 'report.html'}: open it in a browser.")
    for number in range(1, 9):
        assert f"[{number}/8]" in said
    html = (out / "report.html").read_text()
    assert "show1.wav" in html
    assert {row["language"] for row in Export.open(out / "corpus").index(["language"]).to_pylist()} == {
        "xx",
        "yy",
    }
    assert html.count("<audio controls") == 3 + 4
    scores = json.loads((out / "after" / "scores.json").read_text())
    assert [clip["candidates"] for clip in scores["clips"]] == [2]


@pytest.mark.parametrize(("fast", "told"), [(True, 0), (False, 1)])
def test_where_bfloat16_is_slow_the_demo_trains_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, told: int
) -> None:
    monkeypatch.setattr("rosella.devices.multiplies_bfloat16", lambda: fast)
    steps = Road(tmp_path, 2, 0).plan(Ledger(tmp_path / "state.json"))
    assert sum("compute_dtype=float32" in step.command for step in steps) == told


def test_memory_is_kept_before_any_framework_starts_its_threads(tmp_path: Path) -> None:
    code = (
        "import sys; from rosella import memory; from rosella.cli import main;"
        "memory.keep = lambda: sys.exit(f\"kept {sorted({'jax', 'torch'} & sys.modules.keys())}\");"
        "main(['demo', '--out', sys.argv[1]])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "demo"], capture_output=True, text=True, timeout=120
    )
    assert ended.stderr.strip() == "kept []"


def test_run_again_it_says_what_is_done(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (out / "report.html").stat().st_mtime_ns
    assert run("--out", out, "--steps", 2) == 0
    assert capfd.readouterr().out.count("already done") == 8
    assert (out / "report.html").stat().st_mtime_ns == before


@pytest.mark.slow
def test_other_steps_train_anew_and_keep_the_corpus(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--out", out, "--steps", 2) == 0  # the tests before it may not have been chosen
    capfd.readouterr()
    assert run("--out", out, "--steps", 3) == 0
    assert capfd.readouterr().out.count("already done") == 5
    assert "for 3 steps" in (out / "report.html").read_text()


def test_a_directory_with_other_things_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").mkdir()
    assert run("--out", tmp_path) == 2
    assert "holds no demo" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_evaluate_prints_json_and_draws_a_report(
    family: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = family / "podcast" / "heldout" / "manifest.jsonl"
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--model", "mini", "--sentences", str(manifest), "-o", str(tmp_path), "--json"])
    assert not stop.value.code
    printed = json.loads(capfd.readouterr().out)
    assert printed == json.loads((tmp_path / "scores.json").read_text())
    assert printed["summary"]["clips"] == 3
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_two_models_are_scored_side_by_side(
    family: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heldout = family / "podcast" / "heldout" / "manifest.jsonl"
    command = ["evaluate", "--model", "mini", "--seeds", "1", "--sentences"]

    def scored(manifest: Path, *options: object) -> int:
        with pytest.raises(SystemExit) as stop:
            main([*command, str(manifest), *map(str, options)])
        return int(stop.value.code or 0)

    assert scored(heldout, "-o", tmp_path / "one") == 0
    assert scored(heldout, "-o", tmp_path / "two", "--against", tmp_path / "one") == 0
    html = (tmp_path / "two" / "report.html").read_text()
    assert ">gain<" in html and "beside mini" in html
    other = heldout.parent / "other.jsonl"
    other.write_text(heldout.read_text().splitlines()[1].replace('"speak": false', '"speak": true'))
    assert scored(other, "-o", tmp_path / "three", "--against", tmp_path / "one") == 2
    assert "holds scores of other sentences" in capfd.readouterr().err
    assert not (tmp_path / "three").exists()


def test_evaluate_without_sentences_is_the_users_mistake(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--model", "mini", "--sentences", str(tmp_path / "no.jsonl")])
    assert stop.value.code == 2
    assert "no.jsonl" in capfd.readouterr().err


def test_a_digest_knows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "a").write_text("2")
    second = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, digest(tmp_path)}) == 3


def test_commands_can_be_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("corpus add", tmp_path / "my file", "-o", 3) == "rosella corpus add 'my file' -o 3"
