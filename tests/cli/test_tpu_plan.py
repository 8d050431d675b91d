from __future__ import annotations

import pytest
import yaml

from rosella.cli import tpu_plan
from rosella.cli.tpu_plan import Read, check_buckets, confirm, hourly_prices, show_plan
from rosella.cloud import bucket
from rosella.cloud.pod import Pod
from rosella.errors import UserError
from rosella.model import config as configs
from rosella.training.plan.prices import load_prices
from training import tiny

PRICES = load_prices(None)


def pod(**keys) -> Pod:
    values = {
        "name": "dutch", "project": "p", "zones": ["us-central2-b"], "accelerators": ["v4-32"],
        "budget": {"money": 100}, "bucket": "gs://state", "source": {"wheel": "w.whl"},
        "command": "rosella train little.yaml",
    }  # fmt: skip
    return Pod.model_validate(values | keys)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    tiny.write(tmp_path / "corpus")
    monkeypatch.setattr(configs, "mini", tiny.config)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe("corpus").model_dump()))
    return path


@pytest.fixture
def made(monkeypatch):
    """What is planned, on an hour's worth of cards, since a slice of TPUs takes minutes to be compiled for."""
    from rosella.cli import plan

    asked, make = [], plan.make

    def instead(recipe, hardware, *rest, **known):
        asked.append((recipe, hardware))
        return make(recipe, "h100", *rest, **known)

    monkeypatch.setattr(plan, "make", instead)
    return asked


def test_what_the_command_trains_is_planned_for_the_first_size(recipe, made, capsys):
    command = "cd x\nrosella train little.yaml seed=3 --run r"
    read = show_plan(pod(accelerators=["v5e-16", "v4-32"], command=command), PRICES, None, None)
    assert read.export == "corpus" and read.size > 0
    assert "headroom" in capsys.readouterr().out
    ((loaded, hardware),) = made
    assert loaded.seed == 3 and hardware == "v5e-16"


def test_a_recipe_that_is_only_there_is_named_by_its_file_here(recipe, made, capsys):
    command = "rosella train shared/little.yaml data.export=gs://talk/corpus --run shared/run"
    assert show_plan(pod(command=command), PRICES, None, None) == Read()
    assert "names no recipe that is a file here: --recipe names it" in capsys.readouterr().err
    assert show_plan(pod(command=command), PRICES, recipe, 1.0).export == "gs://talk/corpus"


@pytest.mark.parametrize("command", ["echo hi", "rosella train", "it's not shell"])
def test_a_command_that_trains_no_recipe_has_no_plan(command, capsys):
    assert show_plan(pod(command=command), PRICES, None, None) == Read()
    assert "There is no plan" in capsys.readouterr().err


def test_what_cannot_be_planned_is_said_and_its_export_still_looked_at(recipe, monkeypatch, capsys):
    from rosella.cli import plan

    def no(*_, **__):
        raise UserError("libtpu is not installed.")

    monkeypatch.setattr(plan, "make", no)
    assert show_plan(pod(), PRICES, None, None) == Read("corpus")
    assert "There is no plan: libtpu is not installed." in capsys.readouterr().err


@pytest.mark.parametrize("far", ["gs://state", "gs://talk/corpus"])
def test_neither_the_pods_bucket_nor_the_exports_may_lie_elsewhere(far, monkeypatch, capsys):
    monkeypatch.setattr(bucket, "region_of", lambda url: "us" if url == far else "us-central2")
    read = Read("gs://talk/corpus", 36e9)
    with pytest.raises(UserError, match=f"{far} lies in us, .* costs up to .4.02 "):
        check_buckets(pod(), PRICES, read)
    check_buckets(pod(any_region=True), PRICES, read)
    assert capsys.readouterr().err.count(f"{far} lies in us") == 1


def test_a_budget_of_money_needs_prices(tmp_path):
    assert hourly_prices(pod(accelerators=["v4-32", "v4-16"]), PRICES) == {
        "v4-32": pytest.approx(16 * 3.22),
        "v4-16": pytest.approx(8 * 3.22),
    }
    unknown = PRICES.model_copy(update={"chip_hour": {}})
    with pytest.raises(UserError, match="No price of v4-32 is known: give yours with --prices"):
        hourly_prices(pod(), unknown)
    assert hourly_prices(pod(budget={"hours": 3}), unknown) == {}


def test_before_it_begins_the_person_reads_what_it_may_cost(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(tpu_plan.typer, "confirm", lambda question, abort: asked.append(question))
    confirm(pod(budget={"money": 350, "hours": 10}), {"v4-32": 51.52}, yes=False)
    said = capsys.readouterr().out
    assert "v4-32 ($51.52 an hour), spot, in us-central2-b; at most $350.00 or 10 h of slices." in said
    confirm(pod(), {}, yes=True)
    assert asked == ["Begin?"]
