"""The trace of a Transformers folder: Transformers' model, tokenizer, processor and generation, nothing of ours.

The layers' states come from hooks. The processor delays and pads codes of a stand-in codec, whose audio is the
codes themselves, so that nothing need be encoded or downloaded to compare two models.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rosella.convert.huggingface import PROCESSOR
from rosella.errors import UserError
from rosella.parity import trace
from rosella.parity.trace import Case, Greedy, Inputs, Say, Trace


def has_tokenizer(folder: Path) -> bool:
    """Whether Transformers can be fed from the folder alone."""
    return (folder / "tokenizer_config.json").is_file()


def trace_folder(folder: Path, inputs: Inputs, dtype: str, say: Say) -> Trace:
    """The trace of a folder that Transformers reads, computed in `dtype`.

    UserError for a folder whose processor is not the installed one, or does not fit its model.
    """
    import torch
    from transformers import DiaForConditionalGeneration

    with _quiet(), torch.no_grad():
        model = DiaForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        processor = _processor(folder, model.config)
        say(trace.STAGES)
        made = Trace(_stages(model, processor, inputs))
        for case in trace.CASES:
            made.greedy[case] = Greedy(_generated(model, processor, inputs, case, say))
    return made


def _stages(model: Any, processor: Any, inputs: Inputs) -> dict[str, list[np.ndarray]]:
    fed = _fed(processor, inputs, inputs.codes, generation=False, output_labels=True)
    counts = _array(fed["attention_mask"]).sum(1)
    heard = _array(fed["decoder_attention_mask"]) > 0
    layers: list[Any] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, states: layers.append(states))
        for layer in model.model.decoder.layers
    ]
    out = model(**_attended(processor, model, fed, 1.0))
    for hook in hooks:
        hook.remove()
    stages = {
        trace.TEXT_IDS: trace.cut_rows(_array(fed["input_ids"]), counts),
        trace.AUDIO_IDS: _heard(fed["decoder_input_ids"], heard),
        trace.ENCODER: trace.cut_rows(_array(out.encoder_last_hidden_state), counts),
    }
    for number, states in enumerate(layers):
        stages[trace.layer_name(number)] = _heard(states, heard)
    channels = fed["decoder_input_ids"].shape[2]
    logits = out.logits.reshape(len(heard), channels, heard.shape[1], -1).transpose(1, 2)
    return stages | {trace.LOGITS: _heard(logits, heard), trace.LOSS: [_array(out.loss)[None]]}


def _generated(model: Any, processor: Any, inputs: Inputs, case: Case, say: Say) -> np.ndarray:
    """The ids that follow the prompt, int [B, steps, C]."""
    fed = _fed(processor, inputs, inputs.prompts if case.prompted else None)
    begun = 1 + max(map(len, inputs.prompts)) if case.prompted else 1
    ids = model.generate(
        **_attended(processor, model, fed, case.guidance),
        do_sample=False,
        guidance_scale=case.guidance,
        top_k=case.top_k,
        max_new_tokens=inputs.frames + max(model.config.delay_pattern) + 1,
        streamer=_Frames(case, inputs.frames, say),
    )
    return _array(ids)[:, begun:]


class _Frames:
    """What Transformers calls a streamer: it is given what the model reads first, and then each step."""

    def __init__(self, case: Case, frames: int, say: Say) -> None:
        self.part, self.frames, self.say, self.step = str(case), frames, say, -1

    def put(self, ids: Any) -> None:
        self.step += 1
        self.say(self.part, min(self.step, self.frames))

    def end(self) -> None:
        pass


def _fed(processor: Any, inputs: Inputs, codes: list[np.ndarray] | None, **settings: Any) -> Any:
    """What the processor makes of the texts and codes, one text dropped."""
    if codes is None:
        fed = processor(text=inputs.texts, **settings)
    else:
        hop = processor.feature_extractor.hop_length
        rate = processor.feature_extractor.sampling_rate
        waves = [_CodesAsAudio.wave(row, hop) for row in codes]
        fed = processor(text=inputs.texts, audio=waves, audio_kwargs={"sampling_rate": rate}, **settings)
    fed["input_ids"][trace.DROPPED] = 0
    return fed


def _attended(processor: Any, model: Any, fed: Any, guidance: float) -> Any:
    """The inputs of a model whose decoder attends to text padding, by its own processor; others as they are."""
    return processor.attend(model, fed, guidance) if hasattr(processor, "attend") else fed


def _processor(folder: Path, config: Any) -> Any:
    """The folder's own processor, or Transformers' where it has none, with the stand-in codec."""
    from transformers import (
        AutoProcessor,
        AutoTokenizer,
        DacConfig,
        DacModel,
        DiaFeatureExtractor,
        DiaProcessor,
    )

    shipped = folder / PROCESSOR.name
    if shipped.is_file():
        if shipped.read_bytes() != PROCESSOR.read_bytes():
            raise UserError(
                f"The {shipped.name} in {folder} is not this version's, and it would be run: convert the model again."
            )
        processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    else:
        tiny = DacModel(DacConfig(encoder_hidden_size=2, decoder_hidden_size=16, codebook_size=2))
        processor = DiaProcessor(DiaFeatureExtractor(), AutoTokenizer.from_pretrained(folder), tiny)
        defaults: Any = DiaProcessor.audio_kwargs
        if list(config.delay_pattern) != defaults["delay_pattern"]:
            raise UserError(
                f"Transformers' own processor knows only Dia-1.6B's delays, not those of {folder}: "
                "let rosella convert write the folder, with a processor."
            )
    processor.audio_tokenizer = _CodesAsAudio(
        processor.feature_extractor.hop_length, config.decoder_config.num_channels
    )
    return processor


class _CodesAsAudio:
    """A codec whose waveforms hold the codes: the first samples of each hop are a frame's."""

    device = "cpu"

    def __init__(self, hop: int, codebooks: int) -> None:
        self.codebooks = codebooks
        self.config = SimpleNamespace(downsampling_ratios=[hop])

    @staticmethod
    def wave(codes: np.ndarray, hop: int) -> np.ndarray:
        return np.pad(codes, ((0, 0), (0, hop - codes.shape[1]))).astype(np.float32).ravel()

    def encode(self, waves: Any) -> SimpleNamespace:
        hop = self.config.downsampling_ratios[0]
        frames = waves.reshape(len(waves), -1, hop)[..., : self.codebooks]
        return SimpleNamespace(audio_codes=frames.transpose(1, 2).long())


def _heard(batch: Any, mask: np.ndarray) -> list[np.ndarray]:
    return [row[seen] for row, seen in zip(_array(batch), mask, strict=True)]


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().float().numpy() if tensor.is_floating_point() else tensor.detach().numpy()


@contextmanager
def _quiet() -> Generator[None]:
    """Without Transformers' progress bars and its advice on settings that are meant."""
    from transformers.utils import logging as notes

    level, bars = notes.get_verbosity(), notes.is_progress_bar_enabled()
    notes.set_verbosity(logging.ERROR)
    notes.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`max_length` is ignored")
            yield
    finally:
        notes.set_verbosity(level)
        if bars:
            notes.enable_progress_bar()
