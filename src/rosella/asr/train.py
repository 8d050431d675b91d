"""Training a recogniser, on one device or several: weights in float32, the arithmetic in bfloat16 where that is fast.

With several devices every process runs the same command (`accelerate launch -m rosella asr train ...`), takes its share
of each batch, and the first one alone writes.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from rosella import devices
from rosella.asr.batches import IGNORED, Batch, Batches, Item, assemble, plain_recipe, read_items, stream
from rosella.asr.evaluation import transcribe_examples
from rosella.asr.examples import Split, read_examples
from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser, encode
from rosella.asr.run import AsrRun
from rosella.asr.scores import score
from rosella.asr.start import adapt, start
from rosella.corpus.recogniser import Kind
from rosella.errors import RosellaError, UserError
from rosella.progress import Report, unread
from rosella.runs import stop_signals

BAD_STEPS = 20
"""So many steps in a row without a finite loss end the run."""


@dataclass(frozen=True)
class Outcome:
    """Where a call of `train` ended; not `finished` means it was asked to stop."""

    recogniser: Recogniser
    step: int
    finished: bool


class Objective(nn.Module):
    """Whisper with its loss, so that a distributed wrapper sees one forward pass.

    With `ctc`, the encoder's states must spell what is said on their own too, which a head that training alone has
    reads off them; it shows a decoder from random weights where to listen (Watanabe 2017, hybrid CTC/attention).
    """

    def __init__(self, model: nn.Module, ctc: float = 0.0) -> None:
        super().__init__()
        config: Any = model.config
        self.model, self.ctc, self.blank = model, ctc, config.vocab_size
        self.head = nn.Linear(config.d_model, self.blank + 1) if ctc else None

    def forward(self, batch: Batch) -> Tensor:
        """Cross-entropy summed over the target tokens; transcripts of one example share its encoder states.

        In training `ctc` times the connectionist loss (Graves 2006) is added.
        """
        model: Any = self.model
        states = encode(model, batch.features)
        made = model.model.decoder(
            input_ids=batch.inputs, encoder_hidden_states=states[batch.source], use_cache=False
        )
        logits = model.proj_out(made.last_hidden_state).float().flatten(0, 1)
        loss = nn.functional.cross_entropy(
            logits, batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return loss + self.ctc * self._spelling(states, batch.said) if self.training and self.ctc else loss

    def _spelling(self, states: Tensor, said: Tensor) -> Tensor:
        """The connectionist loss of encoder states [B, T, D], summed over the batch."""
        assert self.head is not None
        scores = self.head(states).float().log_softmax(-1).transpose(0, 1)
        heard = torch.full((len(said),), len(scores))
        lengths = (said != IGNORED).sum(1).cpu()
        return nn.functional.ctc_loss(
            scores, said.clamp(min=0), heard, lengths, self.blank, reduction="sum", zero_infinity=True
        )


@dataclass
class Job:
    """The state of a run between two steps."""

    recipe: AsrRecipe
    recogniser: Recogniser
    objective: nn.Module
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    run: AsrRun
    report: Report
    validation: list[Item]
    fingerprint: str
    """Of the training examples."""
    step: int = 0
    bad: int = 0

    @property
    def writes(self) -> bool:
        return self.accelerator.is_main_process

    def note(self, sentence: str) -> None:
        if self.writes:
            self.run.log(sentence)
            self.report({"note": sentence})

    def record(self, values: dict[str, Any]) -> None:
        if self.writes:
            self.run.record(values)
            self.report(values)


def train(recipe: AsrRecipe, run: AsrRun, report: Report = unread) -> Outcome:
    """Train until `recipe.steps`, from the newest intact checkpoint of `run` if it has one; writes `model/` at the end.

    `report` receives every line of `metrics.jsonl` and `{"note": sentence}`. Ctrl-C, SIGTERM and SIGHUP finish the step,
    save and return. Raises UserError for a recipe that cannot work, RosellaError when training goes wrong.
    """
    accelerator = Accelerator(cpu=devices.device().type == "cpu")
    if recipe.batch_size % accelerator.num_processes:
        raise UserError(
            f"batch_size {recipe.batch_size} cannot be shared evenly by {accelerator.num_processes} devices: "
            "make it a multiple."
        )
    recogniser = start(recipe)
    items: dict[Split, list[Item]] = {
        split: _read(recipe, split, recogniser, report) for split in ("train", "validation")
    }
    if not items["train"]:
        raise UserError(f"None of the examples in {', '.join(recipe.examples)} can be trained on.")
    finish = adapt(recogniser, recipe)
    job = _job(recipe, recogniser, accelerator, run, report, items)
    if job.writes:
        run.begin(recipe)
    _restore(job)
    batches = Batches(
        items["train"], recogniser, recipe, accelerator.process_index, accelerator.num_processes
    )
    with _same_sums(accelerator.device):
        stopped = _loop(job, batches)
    if not stopped and job.writes:
        with run.new_model(job.step) as directory:
            finish().save(directory)
    return Outcome(recogniser, job.step, not stopped)


@contextmanager
def _same_sums(device: torch.device) -> Generator[None]:
    """On a CPU, have every sum added up in the same order each time; several threads else race to gradients they share.

    Of GPUs this is not asked: the connectionist loss has no such gradient there.
    """
    asked: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), asked.fill_uninitialized_memory
    asked.fill_uninitialized_memory = False  # it finds errors, and costs time
    torch.use_deterministic_algorithms(before[0] or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        asked.fill_uninitialized_memory = before[1]


def _read(recipe: AsrRecipe, split: Split, recogniser: Recogniser, report: Report) -> list[Item]:
    examples = [example for where in recipe.examples for example in read_examples(where, split)]
    items, rejects = read_items(examples, recogniser, recipe)
    hours = sum(item.example.seconds for item in items) / 3600
    report({"note": f"{len(items)} examples ({hours:.1f} h) in the {split} split."})
    for reason, count in rejects.items():
        report({"note": f"{count} examples of the {split} split are left out: {reason}."})
    return items


def _job(
    recipe: AsrRecipe,
    recogniser: Recogniser,
    accelerator: Accelerator,
    run: AsrRun,
    report: Report,
    items: dict[Split, list[Item]],
) -> Job:
    torch.manual_seed(recipe.seed)
    objective = Objective(recogniser.model, recipe.ctc).to(accelerator.device)
    trained = [value for value in objective.parameters() if value.requires_grad]
    groups = [
        {"params": [v for v in trained if v.ndim > 1], "weight_decay": recipe.optimizer.weight_decay},
        {"params": [v for v in trained if v.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (recipe.optimizer.b1, recipe.optimizer.b2)
    optimizer = torch.optim.AdamW(groups, recipe.optimizer.lr, betas, eps=1e-8, fused=True)
    objective, optimizer = accelerator.prepare(objective, optimizer)
    validation = sorted(items["validation"], key=lambda item: _hash(item.example.id))
    validation = validation[: recipe.evaluate.examples]
    identity = _hash("\n".join(sorted(item.example.id for item in items["train"])))
    return Job(recipe, recogniser, objective, optimizer, accelerator, run, report, validation, identity)


def _loop(job: Job, batches: Batches) -> bool:
    """Step until the last one; True when asked to stop before."""
    recipe, began, since = job.recipe, time.monotonic(), job.step
    with stop_signals() as stop:
        for micro in stream(batches, job.step, recipe.workers):
            measured = _step(job, micro)
            last, stopping = job.step == recipe.steps, bool(_sum(job, stop.is_set()))
            if job.step % recipe.log_every == 0 or last:
                speed = (job.step - since) * recipe.batch_size / (time.monotonic() - began)
                job.record({"step": job.step, "split": "train", **measured, "examples_per_second": speed})
                began, since = time.monotonic(), job.step
            if job.validation and (job.step % recipe.evaluate.every == 0 or last):
                _evaluate(job)
            if job.step % recipe.checkpoint.every == 0 or last or stopping:
                _save(job)
            if stopping and not last:
                return True
    return False


def _step(job: Job, micro: Sequence[Batch]) -> dict[str, float | None]:
    """One optimizer step; one whose loss or gradient is not finite changes nothing. Returns what to log."""
    recipe, accelerator = job.recipe, job.accelerator
    torch.manual_seed(
        (recipe.seed * recipe.steps + job.step) * accelerator.num_processes + accelerator.process_index
    )
    job.objective.train()
    tokens = _sum(job, sum(int((batch.targets != IGNORED).sum()) for batch in micro))
    total = 0.0
    for number, batch in enumerate(micro, 1):
        syncing = nullcontext() if number == len(micro) else accelerator.no_sync(job.objective)
        with syncing, _precision(job):
            loss = job.objective(batch.to(accelerator.device)) / tokens
            accelerator.backward(loss * accelerator.num_processes)
        total += float(loss.detach())
    loss = _sum(job, total)
    norm = float(nn.utils.clip_grad_norm_(job.objective.parameters(), recipe.optimizer.clip))
    good = math.isfinite(loss) and math.isfinite(norm)
    rate = float(recipe.optimizer.learning_rate(job.step, recipe.steps))
    if good:
        for group in job.optimizer.param_groups:
            group["lr"] = rate
        job.optimizer.step()
    job.optimizer.zero_grad(set_to_none=True)
    job.step, job.bad = job.step + 1, 0 if good else job.bad + 1
    if job.bad >= BAD_STEPS:
        raise RosellaError(
            f"The loss was not finite for {BAD_STEPS} steps: lower optimizer.lr, or use precision=float32."
        )
    return {"loss": loss if good else None, "grad_norm": norm if good else None, "lr": rate}


def _sum(job: Job, value: float) -> float:
    """The sum of a number over the devices."""
    if job.accelerator.num_processes == 1:
        return float(value)
    total: Any = job.accelerator.reduce(torch.tensor(float(value), device=job.accelerator.device), "sum")
    return float(total)


def _precision(job: Job) -> Any:
    """Autocast to bfloat16, by default where the device computes in it."""
    device, wanted = job.accelerator.device.type, job.recipe.precision
    fast = {"cuda": torch.cuda.is_bf16_supported, "cpu": torch.ops.mkldnn._is_mkldnn_bf16_supported}
    capable = device in fast and fast[device]()
    return torch.autocast(
        device, torch.bfloat16, enabled=wanted == "bfloat16" or (wanted == "auto" and capable)
    )


@torch.no_grad()
def _evaluate(job: Job) -> None:
    """Loss and word error rate on the validation examples, tags and events included."""
    if job.writes:
        plain, size = plain_recipe(job.recipe), job.recipe.micro_batch or job.recipe.batch_size
        objective: Any = job.accelerator.unwrap_model(job.objective).eval()
        loss, tokens = 0.0, 0
        for start in range(0, len(job.validation), size):
            chosen = [(item, "") for item in job.validation[start : start + size]]
            batch = assemble(chosen, job.recogniser, plain)
            tokens += int((batch.targets != IGNORED).sum())
            with _precision(job):
                loss += float(objective(batch.to(job.accelerator.device)))
        kind: Kind = "verbatim" if "verbatim" in job.recipe.transcripts else "clean"
        examples = [
            replace(i.example, language=i.example.language or job.recipe.language) for i in job.validation
        ]
        scores = score(transcribe_examples(job.recogniser, examples, kind, size).values())
        values = {"loss": loss / tokens, "wer": scores.words.rate, "filler_recall": scores.fillers.recall}
        job.record({"step": job.step, "split": "validation", **values})
    job.accelerator.wait_for_everyone()


def _save(job: Job) -> None:
    if job.writes:
        tensors = {f"weights.{name}": value.detach() for name, value in _trained(job).items()}
        for index, values in job.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{key}": value for key, value in values.items()}
        job.run.save(job.step, tensors, job.fingerprint, job.recipe.checkpoint.keep)
    job.accelerator.wait_for_everyone()


def _restore(job: Job) -> None:
    found = job.run.restore(job.fingerprint, job.note)
    if job.writes:
        job.run.forget_after(found[0] if found else -1)
    if found is None:
        return
    job.step, tensors = found
    for name, value in _trained(job).items():
        value.data.copy_(tensors[f"weights.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name in tensors:
        if name.startswith("adam."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensors[name]
    job.optimizer.load_state_dict({**job.optimizer.state_dict(), "state": state})
    job.note(f"Resumed at step {job.step}.")


def _trained(job: Job) -> dict[str, Tensor]:
    objective = job.accelerator.unwrap_model(job.objective)
    return {name: value for name, value in objective.named_parameters() if value.requires_grad}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
