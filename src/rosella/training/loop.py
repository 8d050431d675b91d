"""The training loop: one recipe in, one model out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rosella import devices
from rosella.codec import Codec
from rosella.errors import UserError
from rosella.files import write_text
from rosella.inference import programs
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.progress import Report, unread
from rosella.runs import stop_signals
from rosella.shards.read import Export
from rosella.speak import Speaker
from rosella.training import batches as data
from rosella.training import hosts, order
from rosella.training import state as checkpoints
from rosella.training.card import describe
from rosella.training.goodput import Goodput
from rosella.training.hooks import Best, Evaluate, Hook, Job, Log, Save, Speak
from rosella.training.mesh import Rows, check_mesh, choose_mesh
from rosella.training.optimizer import make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.run import TrainingRun
from rosella.training.samples import Listening, Sample, Spoken, says
from rosella.training.speed import Speed
from rosella.training.start import Weights, check_export, on_mesh, start
from rosella.training.state import Skeleton
from rosella.training.step import make_evaluation, make_step
from rosella.training.trackers import Tracker, Trackers, named
from rosella.weights import interpolate, save_model
from rosella.weights.card import CARD


@dataclass(frozen=True)
class Outcome:
    """Where a call of `train` ended. `trained` counts its own steps; not `finished` means it was asked to stop."""

    model: Dia
    step: int
    trained: int
    finished: bool


class Task(NamedTuple):
    """What is to be trained, on what, where it is written and who hears of it."""

    recipe: Recipe
    weights: Weights
    config: DiaConfig
    export: Export
    run: TrainingRun
    told: Trackers
    sample: Sample | None
    goodput: Goodput


def train(
    recipe: Recipe,
    run: TrainingRun,
    report: Report = unread,
    listening: Listening = says,
    trackers: Sequence[Tracker] = (),
) -> Outcome:
    """Train as a recipe says, in a locked run directory; when all steps are done, `model/` holds the result.

    `report` receives every line of `metrics.jsonl` and `{"note": sentence}`. Ctrl-C, SIGTERM and SIGHUP finish the step,
    save and return, on all hosts when one is told to. `listening` scores the samples (`evaluate.listening`), `trackers`
    hear all beside those that the recipe names. Raises UserError for a recipe that cannot work, RosellaError when
    training goes wrong.
    """
    trackers, goodput = [*named(recipe.trackers), *trackers], Goodput()
    with goodput.spent("start"):
        devices.share_card(training=True)
        begun = start(recipe)
        sample = _sampling(recipe, run, begun.codec, listening)
    with programs.kept(run.compiled), _told(recipe, run, report, trackers) as told:
        return _learn(Task(recipe, begun.weights, begun.config, begun.export, run, told, sample, goodput))


def _sampling(recipe: Recipe, run: TrainingRun, codec: Codec, listening: Listening) -> Sample | None:
    """What speaks while the model learns; of several processes, one does, and all know of it."""
    if not (recipe.samples.texts or recipe.samples.sentences):
        return None
    listen = listening(recipe.samples, codec) if run.writes() else lambda speaker: Spoken([])
    return lambda model, config: listen(Speaker(model, config, codec))


def _told(recipe: Recipe, run: TrainingRun, report: Report, trackers: Sequence[Tracker]) -> Trackers:
    """All who hear the run; of several processes, one tells them."""
    return Trackers(run, recipe, report, trackers if run.writes() else ())


def fit(
    recipe: Recipe,
    model: Dia,
    config: DiaConfig,
    export: Export,
    run: TrainingRun,
    report: Report = unread,
    sample: Sample | None = None,
    trackers: Sequence[Tracker] = (),
) -> Outcome:
    """`train` with a model and an export at hand, from the newest intact checkpoint of the run if it has one."""
    weights = partial(on_mesh, model)
    with _told(recipe, run, report, trackers) as told:
        return _learn(Task(recipe, weights, config, export, run, told, sample, Goodput()))


def _learn(task: Task) -> Outcome:
    check_export(task.export, task.config, task.recipe.data)
    check_mesh(task.recipe.mesh, task.config)
    task.run.check(task.recipe)
    with task.goodput.spent("start"):
        job, hooks, rows = _prepare(task)
    try:
        trained = _steps(job, hooks, rows)
    finally:
        job.saver.finish()
    return Outcome(job.skeleton.join(job.state.params), job.step, trained, job.step >= job.recipe.steps)


def _steps(job: Job, hooks: list[Hook], rows: Rows) -> int:
    """Steps until all are done or somebody wishes to stop, and the model after the last; how many."""
    first, recipe = job.step, job.recipe
    step, agree, seen = make_step(job.skeleton, recipe, rows.mesh), hosts.Agreement(), set[Any]()
    with stop_signals() as stop:
        while job.step < recipe.steps:
            with job.goodput.spent("data"):
                batch = rows.place(next(job.batches))
            shape = jax.tree.map(jnp.shape, batch)
            with nullcontext() if shape in seen else job.goodput.spent("compile"):
                job.state, metrics = step(job.state, batch)
            seen.add(shape)
            job.step += 1
            asked, job.saving = agree(stop.is_set(), job.saver.busy)
            last = job.step == recipe.steps or asked
            if job.goodput.first_step is None:
                jax.block_until_ready(metrics)
                job.goodput.began()
            for hook in hooks:
                hook(job, metrics, last)
            if last:
                break
    if job.step >= recipe.steps:
        _save_model(job)
    return job.step - first


def _save_model(job: Job) -> None:
    model = job.model()
    if job.run.writes():
        recipe = job.recipe.model
        if recipe.weights is not None and recipe.keep:
            model = interpolate(model, recipe.weights, recipe.keep)
        with job.run.new_model(job.step) as directory:
            save_model(directory, model, job.config)
            write_text(directory / CARD, job.run.card.read_text("utf-8"))
    hosts.wait_for_all("the model is written")


def _prepare(task: Task) -> tuple[Job, list[Hook], Rows]:
    recipe, weights, config, export, run, told, sample, goodput = task
    skeleton = Skeleton.computing(config, recipe)
    train_split, validation = (
        order.read_split(export, recipe.data, name) for name in ("train", "validation")
    )
    _check_split(train_split, recipe)
    buckets = order.choose_buckets([train_split, validation], recipe.data, config.steps(0))
    plan = order.plan_training(train_split, buckets, recipe.data, recipe.steps, recipe.seed, config.steps(0))
    rows = Rows(choose_mesh(recipe.mesh), recipe.accumulate)
    run.begin(recipe)
    run.remember({id for shard in export.shards for id in shard.get("recordings", ())})
    if run.writes():
        write_text(run.card, describe(recipe, export, run.path))
    stream = data.stream(plan, _reader(export, train_split, config, rows))
    identity = order.fingerprint(train_split, buckets)
    state = checkpoints.abstract_state(skeleton.abstract(rows.mesh), make_optimizer(recipe.optimizer))
    job = Job(recipe, config, skeleton, run, told, state, 0, stream, identity, goodput)
    _begin(job, partial(weights, rows.mesh))
    hosts.wait_for_all(f"begun at step {job.step}")
    if not run.recipe.exists():
        raise UserError(
            f"The run directory {run.path} is not shared by all hosts: name one that all of them see."
        )
    _describe(job, train_split, validation, buckets, rows)
    told.start(job.step)
    return job, _hooks(job, export, validation, buckets, sample, rows), rows


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
    log = Log(Speed(job.recipe.compute_dtype, job.goodput))
    hooks: list[Hook] = [log]
    if len(validation):
        plan = order.plan_validation(validation, buckets, job.recipe.evaluate.batches, job.config.steps(0))
        read = _reader(export, validation, job.config, rows)
        evaluate = Evaluate(
            make_evaluation(job.skeleton, job.recipe, rows.mesh),
            lambda: [rows.place(read(item)) for item in plan],
            log,
        )
        if job.step == 0:
            evaluate.run(job)
        hooks.append(evaluate)
    if sample is not None:
        hooks.append(Speak(sample, log))
    if job.recipe.keep_best is not None:
        hooks.append(Best(job.recipe.keep_best, job))
    return [*hooks, Save(log)]


def _begin(job: Job, weights: Callable[[], Dia]) -> None:
    """From the newest intact checkpoint, or with new weights."""
    with job.goodput.spent("restore"):
        found = checkpoints.restore(job.run.checkpoints, job.state, job.note, partial(_check_data, job))
    if found is None:
        if job.run.writes():
            job.run.metrics.unlink(missing_ok=True)
        optimizer = make_optimizer(job.recipe.optimizer)
        job.state = checkpoints.fresh_state(Skeleton.of(weights())[1], optimizer, job.recipe.seed)
        return
    job.state, progress = found
    job.step = progress["step"]
    job.batches.set_state(progress["iterator"])
    job.run.forget_after(job.step)
    job.note(f"Resumed at step {job.step}.")


def _check_data(job: Job, progress: dict[str, Any]) -> None:
    if progress["data"] != job.data:
        raise UserError(
            f"The export in {job.recipe.data.export} changed since the run in {job.run.path} began: "
            "continue with the old export, or choose another directory with --run."
        )


def _check_split(split: order.Split, recipe: Recipe) -> None:
    if not len(split):
        reasons = ", ".join(f"{count} {reason}" for reason, count in split.rejects.items()) or "it is empty"
        raise UserError(f"No utterance of the train split in {recipe.data.export} can be used: {reasons}.")


def _describe(
    job: Job, train_split: order.Split, validation: order.Split, buckets: list[order.Bucket], rows: Rows
) -> None:
    shapes = ", ".join(f"{b.rows} x {b.frames} frames x {b.text_bytes} bytes" for b in buckets)
    job.note(
        f"{len(train_split)} utterances to train on, {len(validation)} to validate on; batches of {shapes}."
    )
    if rows.mesh.size > 1:
        sizes = ", ".join(f"{axis} {size}" for axis, size in rows.mesh.shape.items())
        job.note(f"{rows.mesh.size} devices of {jax.process_count()} processes: {sizes}.")
    for name, split in (("train", train_split), ("validation", validation)):
        for reason, count in split.rejects.items():
            job.note(f"{count} utterances of the {name} split are left out: {reason}.")
