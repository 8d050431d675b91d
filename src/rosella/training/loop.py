"""The training loop: the same fifteen lines on one device or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rosella import delay
from rosella.corpus.shards import Export
from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.runs import stop_signals
from rosella.training import batches as data
from rosella.training import state as checkpoints
from rosella.training.alignment import diagonal_bias
from rosella.training.batches import Batch
from rosella.training.directory import RunDirectory
from rosella.training.hooks import Evaluate, Hook, Job, Log, Report, Sample, Save, Speak
from rosella.training.loss import codebook_sums, combine
from rosella.training.optimizer import clip, make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.state import Skeleton, TrainState


@dataclass(frozen=True)
class Outcome:
    """Where a call of `train` ended. `trained` counts its own steps; not `finished` means it was asked to stop."""

    model: Dia
    step: int
    trained: int
    finished: bool


def train(
    recipe: Recipe,
    model: Dia,
    config: DiaConfig,
    export: Export,
    run: RunDirectory,
    report: Report = lambda values: None,
    sample: Sample | None = None,
) -> Outcome:
    """Train `model` until `recipe.steps`, from the newest intact checkpoint of the locked directory `run` if it has one.

    `report` receives every line of `metrics.jsonl` and `{"note": sentence}`. Ctrl-C, SIGTERM and SIGHUP finish the step,
    save and return. Raises UserError for a recipe that cannot work, RosellaError when training goes wrong.
    """
    data.check_export(export, config, recipe.data)
    run.check(recipe)
    job, hooks = _prepare(recipe, model, config, export, run, report, sample)
    first = job.step
    step = make_step(job.skeleton, config, recipe)
    with stop_signals() as stop:
        while job.step < recipe.steps:
            job.state, metrics = step(job.state, _place(next(job.batches)))
            job.step += 1
            last = job.step == recipe.steps or stop.is_set()
            for hook in hooks:
                hook(job, metrics, last)
            if last:
                break
    return Outcome(job.skeleton.join(job.state.params), job.step, job.step - first, job.step >= recipe.steps)


def make_step(skeleton: Skeleton, config: DiaConfig, recipe: Recipe) -> Callable:
    """One jitted optimizer step, `(state, batch) -> (state, metrics)`, which reuses the memory of `state`.

    A step whose loss or gradient is not finite changes nothing but the counters.
    """
    optimizer = make_optimizer(recipe.optimizer)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        text_ids, dropped = data.drop_text(batch.text_ids, key, recipe.text_dropout)
        pad = config.decoder.pad_token_id
        tokens = data.drop_frames(batch.tokens, jax.random.fold_in(key, 1), recipe.frame_dropout, pad)

        prior = _alignment_prior(batch, state.step, config, recipe.alignment_prior)

        def loss_of(params: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            model = skeleton.join(params)
            text = model.encode(text_ids, batch.text_lengths)
            logits = model.logits(model.decode(tokens, text._replace(bias=text.bias + prior)))
            sums, counts = codebook_sums(logits, batch.targets, config.decoder, batch.weights)
            losses = sums / jnp.maximum(counts, 1e-6)
            return combine(losses, recipe.codebook_weights), losses

        (loss, losses), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        gradients, norm = clip(gradients, recipe.optimizer.clip)
        updates, moments = optimizer.update(gradients, state.moments, state.params)
        rate = recipe.optimizer.learning_rate(state.step, recipe.steps, jnp)
        good = jnp.isfinite(loss) & jnp.isfinite(norm)
        params = optax.apply_updates(state.params, jax.tree.map(lambda u: -rate * u, updates))
        bad, in_row = state.bad_steps + ~good, jnp.where(good, 0, state.bad_in_row + 1)
        params, moments = jax.tree.map(
            lambda new, old: jnp.where(good, new, old), (params, moments), (state.params, state.moments)
        )
        metrics = {
            "loss": loss,
            "codebook_losses": losses,
            "lr": rate,
            "grad_norm": norm,
            "frames": delay.learnable(batch.targets[..., 0], config.decoder.bos_token_id, pad).sum(),
            "text_dropped": dropped.mean(),
            "bad_steps": bad,
            "bad_in_row": in_row,
        }
        return TrainState(params, moments, state.step + 1, state.key, bad, in_row), metrics

    return jax.jit(step, donate_argnums=0)


def _alignment_prior(batch: Batch, step: jax.Array, config: DiaConfig, fading: int) -> jax.Array:
    """The bias on cross-attention in this step; it fades to none within `fading` steps."""
    if not fading:
        return jnp.zeros((1, 1, 1, 1))
    frames = (batch.targets[..., 0] < config.decoder.eos_token_id).sum(1)
    strength = jnp.maximum(1 - step / fading, 0)
    return diagonal_bias(batch.text_lengths, frames, batch.text_ids.shape[1], batch.tokens.shape[1], strength)


def make_evaluation(skeleton: Skeleton, config: DiaConfig) -> Callable:
    """Jitted `(params, batch) -> (summed loss, count)` per codebook, without text dropout."""

    def evaluate(params: dict[str, jax.Array], batch: Batch) -> tuple[jax.Array, jax.Array]:
        logits = skeleton.join(params)(batch.text_ids, batch.text_lengths, batch.tokens)
        return codebook_sums(logits, batch.targets, config.decoder)

    return jax.jit(evaluate)


def _prepare(recipe, model, config, export, run, report, sample) -> tuple[Job, list[Hook]]:
    skeleton, params = Skeleton.of(model.computing(recipe.compute_dtype, recipe.remat))
    train_split, validation = (data.read_split(export, recipe.data, name) for name in ("train", "validation"))
    _check_split(train_split, recipe)
    buckets = data.choose_buckets([train_split, validation], recipe.data)
    plan = data.plan_training(train_split, buckets, recipe.data, recipe.steps, recipe.seed)
    stream = data.stream(data.codes_reader(export, train_split), train_split, config, plan)
    state = checkpoints.fresh_state(params, make_optimizer(recipe.optimizer), recipe.seed)
    identity = data.fingerprint(train_split, buckets)
    run.begin(recipe)
    run.remember({id for shard in export.shards for id in shard.get("recordings", ())})
    job = Job(recipe, config, skeleton, run, report, state, 0, stream, identity)
    _resume(job)
    _describe(job, train_split, validation, buckets)
    return job, _hooks(job, export, validation, buckets, sample)


def _hooks(
    job: Job, export: Export, validation: data.Split, buckets: list, sample: Sample | None
) -> list[Hook]:
    log = Log()
    hooks: list[Hook] = [log]
    if len(validation):
        plan = data.plan_validation(validation, buckets, job.recipe.evaluate.batches)
        codes = data.codes_reader(export, validation)
        evaluate = Evaluate(
            make_evaluation(job.skeleton, job.config),
            lambda: [_place(data.assemble(codes, validation, job.config, item)) for item in plan],
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


def _check_split(split: data.Split, recipe: Recipe) -> None:
    if not len(split):
        reasons = ", ".join(f"{count} {reason}" for reason, count in split.rejects.items()) or "it is empty"
        raise UserError(f"No utterance of the train split in {recipe.data.export} can be used: {reasons}.")


def _describe(job: Job, train_split: data.Split, validation: data.Split, buckets: list[data.Bucket]) -> None:
    shapes = ", ".join(f"{b.rows} x {b.frames} frames x {b.text_bytes} bytes" for b in buckets)
    job.note(
        f"{len(train_split)} utterances to train on, {len(validation)} to validate on; batches of {shapes}."
    )
    for name, split in (("train", train_split), ("validation", validation)):
        for reason, count in split.rejects.items():
            job.note(f"{count} utterances of the {name} split are left out: {reason}.")


def _place(batch: Any) -> Batch:
    return Batch(*(jnp.asarray(part) for part in batch))
