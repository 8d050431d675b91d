from __future__ import annotations

import pytest
import yaml

from rosella.config import check_same_run, load_recipe, save_recipe
from rosella.errors import UserError

RECIPES = [
    *(f"recipes/mini-{part}.yaml" for part in ("1-lessons", "2-conversations", "3-finish")),
    "recipes/dia.yaml",
    "src/rosella/mini/demo.yaml",
]


@pytest.fixture
def path(tmp_path):
    values = {"data": {"export": "corpus", "batch_size": 4}, "steps": 100, "optimizer": {"lr": 1e-3}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "r.yaml"


def test_overrides_reach_nested_keys_and_are_saved(path, tmp_path):
    recipe = load_recipe(path, ["optimizer.lr=2e-4", "steps=7", "samples.texts=[hallo, hi]", "codec=mini"])
    assert (recipe.optimizer.lr, recipe.steps, recipe.samples.texts) == (2e-4, 7, ["hallo", "hi"])
    save_recipe(recipe, tmp_path / "saved.yaml")
    assert load_recipe(tmp_path / "saved.yaml") == recipe


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lr=-1", r"optimizer\.lr should be greater than 0, but is -1"),
        ("optimizer.larning=1", r"the key optimizer\.larning is unknown"),
        ("stepz=3", "the key stepz is unknown, did you mean steps"),
        ("steps=many", "steps should be a valid integer.*'many'"),
        ("text_dropout=1", "text_dropout should be less than 1, but is 1"),
        ("optimizer.warmup=101", "take 101 steps, more than the 100"),
        ("data.batch_frames=9", "either data.batch_size or data.batch_frames; they are 4 and 9"),
        ("model.preset=mini", "model.weights is mini, so model.preset"),
        ("model.weights=null", "name a model.preset"),
        ("compute_dtype=float16", "compute_dtype should be 'float32' or 'bfloat16'"),
        ("codebook_weights=[0, 0]", "at least one codebook must count"),
        ("steps.every=3", "Cannot set steps.every: steps is 100, which has no parts"),
        ("steps", "write key=value"),
        ("steps=[", "write it as YAML"),
    ],
)
def test_a_bad_override_is_one_sentence(path, override, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load_recipe(path, [override])
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_a_batch_must_hold_one_utterance(path):
    with pytest.raises(UserError, match=r"batch_frames is 10, which cannot hold one.* 1500"):
        load_recipe(path, ["data.batch_size=null", "data.batch_frames=10"])


def test_bad_files_are_one_sentence(tmp_path):
    for content, sentence in [
        ("steps: [", "not valid YAML .line"),
        ("- 1", "holds no keys"),
        ("a: 1", "is missing|unknown"),
    ]:
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(UserError, match=sentence):
            load_recipe(tmp_path / "bad.yaml")
    with pytest.raises(UserError, match="Cannot read the recipe .*none.yaml: No such file"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="Cannot read the recipe"):
        load_recipe(tmp_path / "bytes.yaml")


def test_a_run_goes_on_only_with_its_own_recipe(path):
    begun = load_recipe(path)
    check_same_run(load_recipe(path, ["steps=500", "checkpoint.every=3"]), begun, "runs/x")
    with pytest.raises(UserError, match=r"runs/x was started with optimizer\.lr=0\.001, not 0\.5"):
        check_same_run(load_recipe(path, ["optimizer.lr=0.5"]), begun, "runs/x")


@pytest.mark.parametrize("recipe", RECIPES)
def test_shipped_recipes_are_valid_and_say_what_they_cost(recipe, pytestconfig):
    path = pytestconfig.rootpath / recipe
    load_recipe(path)
    header = path.read_text().split("model:")[0].lower()
    assert all(word in header for word in ("rosella train", "hardware", "hours", "score"))
