"""What a recogniser's training starts from: weights, prompts, and which of them are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from rosella.asr.recipe import AsrRecipe
from rosella.asr.recogniser import Recogniser
from rosella.asr.whisper import new_recogniser
from rosella.corpus.recogniser import Kind
from rosella.errors import UserError


def start(recipe: AsrRecipe) -> Recogniser:
    """The recogniser a recipe starts from, told what it is to write and in which languages."""
    if recipe.model.new is not None:
        recogniser = new_recogniser(**recipe.model.new.model_dump(), seed=recipe.seed)
    else:
        assert recipe.model.weights is not None
        recogniser = Recogniser.load(recipe.model.weights, "cpu", torch.float32)
    for language, other in recipe.language_tokens.items():
        if other not in recogniser.languages:
            raise UserError(
                f"language_tokens: the recogniser knows no {other!r} to stand in for {language!r}."
            )
    recogniser.change(
        prompts=_prompts(recogniser, recipe.transcripts),
        languages={**recogniser.settings.languages, **recipe.language_tokens},
        short_windows=recipe.short_windows,
    )
    # Whisper never writes brackets, which tags and events need.
    recogniser.model.generation_config.suppress_tokens = None
    recogniser.model.generation_config.begin_suppress_tokens = None
    return recogniser


def adapt(recogniser: Recogniser, recipe: AsrRecipe) -> Callable[[], Recogniser]:
    """Freeze, adapt and set up the model for training; returns what makes it an ordinary one again."""
    model: Any = recogniser.model
    for module in model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = recipe.dropout
    if recipe.freeze_encoder:
        model.model.encoder.requires_grad_(False)
    if recipe.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if recipe.lora is None:
        return lambda: recogniser
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)
    where = r".*decoder.*\." if recipe.freeze_encoder else r".*\."
    config = LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=f"{where}({'|'.join(recipe.lora.layers)})",
    )
    adapted: Any = get_peft_model(model, config)
    return lambda: Recogniser(adapted.merge_and_unload(), recogniser.tokenizer, recogniser.extractor)


def _prompts(recogniser: Recogniser, kinds: Sequence[Kind]) -> dict[str, str]:
    """Which task token asks for which transcript. Verbatim alone is what any program gets that asks to transcribe;
    beside clean transcripts it has a token of Whisper's that is otherwise idle."""
    own = getattr(recogniser.model.config, "rosella", {}).get("prompts", {})
    if set(kinds) <= own.keys():
        return own
    if len(set(kinds)) == 1:
        return {kinds[0]: "<|transcribe|>"}
    return {"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"}
