"""The training loop: one recipe in, one model out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.progress import Report, unread
from rosella.runs import stop_signals
from rosella.shards.read import Export
from rosella.training import batches as data
from rosella.training import order
from rosella.training import state as checkpoints
from rosella.training.hooks import Evaluate, Hook, Job, Log, Sample, Save, Speak
from rosella.training.mesh import Rows, choose_mesh
from rosella.training.optimizer import make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.run import TrainingRun
from rosella.training.samples import speaks
from rosella.training.start import check_export, start
from rosella.training.state import Skeleton
from rosella.training.step import make_evaluation, make_step
from rosella.weights import save_model


@dataclass(frozen=True)
class Outcome:
    """Where a call of `train` ended. `trained` counts its own steps; not `finished` means it was asked to stop."""

    model: Dia
    step: int
    trained: int
    finished: bool


def train(recipe: Recipe, run: TrainingRun, report: Report = unread) -> Outcome:
    """Train as a recipe says, in a locked run directory; when all steps are done, `model/` holds the result.

    `report` receives every line of `metrics.jsonl` and `{"note": sentence}`. Ctrl-C, SIGTERM and SIGHUP finish the step,
    save and return. Raises UserError for a recipe that cannot work, RosellaError when training goes wrong.
    """
    model, config, codec, export = start(recipe)
    return fit(recipe, model, config, export, run, report, speaks(recipe.samples, run, codec))


def fit(
    recipe: Recipe,
    model: Dia,
    config: DiaConfig,
    export: Export,
    run: TrainingRun,
    report: Report = unread,
    sample: Sample | None = None,
) -> Outcome:
    """`train` with a model and an export at hand, from the newest intact checkpoint of the run if it has one."""
    check_export(export, config, recipe.data)
    run.check(recipe)
    rows = Rows(choose_mesh(recipe.mesh), recipe.accumulate)
    job, hooks = _prepare(recipe, model, config, export, run, report, sample, rows)
    first = job.step
    step = make_step(job.skeleton, recipe, rows.mesh)
    with stop_signals() as stop:
        while job.step < recipe.steps:
            job.state, metrics = step(job.state, rows.place(next(job.batches)))
            job.step += 1
            last = job.step == recipe.steps or stop.is_set()
            for hook in hooks:
                hook(job, metrics, last)
            if last:
                break
    trained = job.skeleton.join(job.state.params)
    if job.step >= recipe.steps:
        with run.new_model(job.step) as directory:
            save_model(directory, trained, config)
    return Outcome(trained, job.step, job.step - first, job.step >= recipe.steps)


def _prepare(
    recipe: Recipe,
    model: Dia,
    config: DiaConfig,
    export: Export,
    run: TrainingRun,
    report: Report,
    sample: Sample | None,
    rows: Rows,
) -> tuple[Job, list[Hook]]:
    skeleton, params = Skeleton.of(model.computing(recipe.compute_dtype, recipe.remat))
    train_split, validation = (
        order.read_split(export, recipe.data, name) for name in ("train", "validation")
    )
    _check_split(train_split, recipe)
    buckets = order.choose_buckets([train_split, validation], recipe.data)
    plan = order.plan_training(train_split, buckets, recipe.data, recipe.steps, recipe.seed)
    stream = data.stream(plan, _reader(export, train_split, config, rows))
    placed = jax.device_put(params, jax.tree.map(lambda leaf: leaf.sharding, skeleton.abstract(rows.mesh)))
    state = checkpoints.fresh_state(placed, make_optimizer(recipe.optimizer), recipe.seed)
    identity = order.fingerprint(train_split, buckets)
    run.begin(recipe)
    run.remember({id for shard in export.shards for id in shard.get("recordings", ())})
    job = Job(recipe, config, skeleton, run, report, state, 0, stream, identity)
    _resume(job)
    _describe(job, train_split, validation, buckets)
    return job, _hooks(job, export, validation, buckets, sample, rows)


def _reader(
    export: Export, split: order.Split, config: DiaConfig, rows: Rows
) -> Callable[[order.Planned], data.Batch]:
    """What reads of a planned batch the rows of this process."""
    codes = data.codes_reader(export, split)

    def read(planned: order.Planned) -> data.Batch:
        own = data.take_rows(planned, rows.own(len(planned.members)))
        return data.assemble(codes, split, config, own)

    return read


def _hooks(
    job: Job,
    export: Export,
    validation: order.Split,
    buckets: list[order.Bucket],
    sample: Sample | None,
    rows: Rows,
) -> list[Hook]:
    log = Log()
    hooks: list[Hook] = [log]
    if len(validation):
        plan = order.plan_validation(validation, buckets, job.recipe.evaluate.batches)
        read = _reader(export, validation, job.config, rows)
        evaluate = Evaluate(
            make_evaluation(job.skeleton, rows.mesh),
            lambda: [rows.place(read(item)) for item in plan],
            log,
        )
        if job.step == 0:
            evaluate.run(job)
        hooks.append(evaluate)
    if sample is not None and job.recipe.samples.texts:
        hooks.append(Speak(sample))
    return [*hooks, Save(log)]


def _resume(job: Job) -> None:
    found = checkpoints.restore(job.run.checkpoints, job.state, job.note)
    if found is None:
        job.run.metrics.unlink(missing_ok=True)
        return
    job.state, progress = found
    if progress["data"] != job.data:
        raise UserError(
            f"The export in {job.recipe.data.export} changed since the run in {job.run.path} began: "
            "continue with the old export, or choose another directory with --run."
        )
    job.step = progress["step"]
    job.batches.set_state(progress["iterator"])
    job.run.forget_after(job.step)
    job.note(f"Resumed at step {job.step}.")


def _check_split(split: order.Split, recipe: Recipe) -> None:
    if not len(split):
        reasons = ", ".join(f"{count} {reason}" for reason, count in split.rejects.items()) or "it is empty"
        raise UserError(f"No utterance of the train split in {recipe.data.export} can be used: {reasons}.")


def _describe(
    job: Job, train_split: order.Split, validation: order.Split, buckets: list[order.Bucket]
) -> None:
    shapes = ", ".join(f"{b.rows} x {b.frames} frames x {b.text_bytes} bytes" for b in buckets)
    job.note(
        f"{len(train_split)} utterances to train on, {len(validation)} to validate on; batches of {shapes}."
    )
    for name, split in (("train", train_split), ("validation", validation)):
        for reason, count in split.rejects.items():
            job.note(f"{count} utterances of the {name} split are left out: {reason}.")
