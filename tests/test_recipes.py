from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from rosella.asr.recipe import AsrRecipe
from rosella.errors import UserError
from rosella.recipes import OptimizerRecipe, Part, RunRecipe, check_same_run, load_recipe, save_recipe
from rosella.training.recipe import Recipe
from support import ROOT

RECIPES = [
    *(path for path in sorted((ROOT / "recipes").glob("*.yaml")) if not path.name.startswith("asr")),
    ROOT / "src/rosella/mini/demo.yaml",
]


@pytest.fixture
def path(tmp_path):
    values = {"data": {"export": "corpus", "batch_size": 4}, "steps": 100, "optimizer": {"lr": 1e-3}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "r.yaml"


def test_overrides_reach_nested_keys_and_are_saved(path, tmp_path):
    recipe = load_recipe(
        Recipe, path, ["optimizer.lr=2e-4", "steps=7", "samples.texts=[hallo, hi]", "codec=mini"]
    )
    assert (recipe.optimizer.lr, recipe.steps, recipe.samples.texts) == (2e-4, 7, ["hallo", "hi"])
    save_recipe(recipe, tmp_path / "saved.yaml")
    assert load_recipe(Recipe, tmp_path / "saved.yaml") == recipe


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
        ("model.keep=1", r"model\.keep is 1: give a share below 1, or one for each"),
        ("model.keep={encoder: 2}", r"model\.keep is \{'encoder': 2\}: give"),
        ("model.keep=half", r"model\.keep is half: give"),
        ("model.weights=null", "name a model.preset"),
        ("compute_dtype=float16", "compute_dtype should be 'float32' or 'bfloat16'"),
        ("codebook_weights=[0, 0]", "at least one codebook must count"),
        ("keep_best=validation/wer", "keep_best is validation/wer, but may be validation/loss, "),
        ("trackers=[mlflow]", "trackers.0 should be 'tensorboard' or 'wandb', but is 'mlflow'"),
        ("steps.every=3", "Cannot set steps.every: steps is 100, which has no parts"),
        ("steps", "write key=value"),
        ("steps=[", "write it as YAML"),
    ],
)
def test_a_bad_override_is_one_sentence(path, override, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load_recipe(Recipe, path, [override])
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_a_batch_must_hold_one_utterance(path):
    with pytest.raises(UserError, match=r"batch_frames is 10, which cannot hold one.* 1500"):
        load_recipe(Recipe, path, ["data.batch_size=null", "data.batch_frames=10"])


def test_bad_files_are_one_sentence(tmp_path):
    for content, sentence in [
        ("steps: [", "not valid YAML .line"),
        ("- 1", "holds no keys"),
        ("a: 1", "is missing|unknown"),
    ]:
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(UserError, match=sentence):
            load_recipe(Recipe, tmp_path / "bad.yaml")
    with pytest.raises(UserError, match="Cannot read .*none.yaml: No such file"):
        load_recipe(Recipe, tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="Cannot read"):
        load_recipe(Recipe, tmp_path / "bytes.yaml")


def test_a_run_goes_on_only_with_its_own_recipe(path):
    begun = load_recipe(Recipe, path)
    check_same_run(load_recipe(Recipe, path, ["steps=500", "checkpoint.every=3"]), begun, "runs/x")
    with pytest.raises(UserError, match=r"runs/x was started with optimizer\.lr=0\.001, not 0\.5"):
        check_same_run(load_recipe(Recipe, path, ["optimizer.lr=0.5"]), begun, "runs/x")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_say_what_they_cost(path):
    load_recipe(Recipe, path)
    header = path.read_text().split("model:")[0].lower()
    assert all(word in header for word in ("rosella train", "hardware", "hours", "score"))


def rates(steps=100, **values):
    recipe = OptimizerRecipe(lr=2.0, **values)
    curve = np.asarray(jax.vmap(lambda step: recipe.learning_rate(step, steps, jnp))(jnp.arange(steps)))
    alone = [recipe.learning_rate(step, steps) for step in range(steps)]
    np.testing.assert_allclose(curve, alone, rtol=1e-5, atol=1e-7)
    return curve


def test_every_schedule_warms_up_from_one_step_to_the_peak():
    for schedule in ("cosine", "constant", "wsd"):
        np.testing.assert_allclose(
            rates(schedule=schedule, warmup=10)[:11], [*np.arange(1, 11) / 5, 2.0], rtol=1e-6
        )
    assert rates(schedule="constant")[0] == 2.0


def test_cosine_falls_once_to_its_final_share():
    curve = rates(schedule="cosine", warmup=20, final_share=0.1)
    assert (np.diff(curve[20:]) < 0).all()
    assert curve[60] == pytest.approx(2.0 * 0.55)
    assert curve[99] == pytest.approx(0.2, rel=0.01)


def test_wsd_stays_then_falls_in_a_line():
    curve = rates(schedule="wsd", warmup=10, decay=20)
    assert (curve[10:81] == 2.0).all()
    assert curve[90] == pytest.approx(1.0)
    assert curve[99] == pytest.approx(0.1)


def documented(kind: type[Part], above: Part | None = None, prefix: str = "") -> Iterator[str]:
    """A row for each key of a recipe: its name, what stands at the key in the code, and its default."""
    for name, field in kind.model_fields.items():
        options = [kind for kind in (field.annotation, *get_args(field.annotation)) if is_part(kind)]
        default = field.get_default(call_default_factory=True) if above is None else getattr(above, name)
        if field.annotation not in options:
            assert field.description, f"{prefix}{name} says nothing of its meaning"
            value = "required" if field.is_required() else as_yaml(default)
            yield f"| `{prefix}{name}` | {' '.join(field.description.split())} | {value} |"
        for part in options:
            yield from documented(part, default if isinstance(default, Part) else None, f"{prefix}{name}.")


def is_part(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)


def as_yaml(value: object) -> str:
    if isinstance(value, Part):
        return "its keys"
    plain = list(value) if isinstance(value, tuple) else value
    return "`" + yaml.safe_dump(plain, default_flow_style=True, width=1000).split("\n...")[0].strip() + "`"


@pytest.mark.parametrize(("kind", "page"), [(Recipe, "training"), (AsrRecipe, "asr")])
def test_the_docs_say_of_every_key_what_the_code_says(kind: type[RunRecipe], page: str):
    written = (ROOT / "docs" / f"{page}.md").read_text("utf-8").splitlines()
    table = written[written.index("| key | meaning | default |") + 2 :]
    assert table[: table.index("")] == list(documented(kind))
