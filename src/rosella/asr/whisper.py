"""A new recogniser from random weights: Whisper's architecture over bytes, for where no vocabulary can be fetched.

The vocabulary is 256 bytes, the speaker tags as one token each, and Whisper's special tokens without timestamps,
in Transformers' own classes, so that the folder loads wherever a Whisper does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    AddedToken,
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from rosella import dialogue
from rosella.asr.recogniser import FRAMES_PER_STATE, Recogniser

FRAMES_PER_SECOND = 100
_HEAD = 64


def new_recogniser(
    width: int,
    encoder_layers: int,
    decoder_layers: int,
    seconds: int,
    languages: Sequence[str],
    max_tokens: int,
    seed: int,
) -> Recogniser:
    """A recogniser of `width` channels that hears `seconds` at once and writes at most `max_tokens` tokens."""
    tokenizer = byte_tokenizer(languages)
    ids = tokenizer.get_vocab()
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(ids),
        d_model=width,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        encoder_attention_heads=max(1, width // _HEAD),
        decoder_attention_heads=max(1, width // _HEAD),
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_source_positions=seconds * FRAMES_PER_SECOND // FRAMES_PER_STATE,
        max_target_positions=max_tokens,
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        begin_suppress_tokens=None,
        init_std=width**-0.5 / 1.5,
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    model.generation_config = _generation(ids, languages, max_tokens)
    extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)
    return Recogniser(model.eval(), tokenizer, extractor)


def byte_tokenizer(languages: Sequence[str]) -> WhisperTokenizer:
    """Whisper's tokenizer with bytes for a vocabulary: nothing is merged, every text can be written."""
    characters = bytes_to_unicode()
    vocabulary = {characters[byte]: byte for byte in range(256)}
    special = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in languages),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    tags = [AddedToken(tag, normalized=False, special=False) for tag in dialogue.TAGS]
    vocabulary |= {name: 256 + number for number, name in enumerate([*dialogue.TAGS, *special])}
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=[], pad_token="<|endoftext|>")
    tokenizer.add_tokens(tags)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    return tokenizer


def _generation(ids: dict[str, int], languages: Sequence[str], max_tokens: int) -> GenerationConfig:
    """What Transformers' own `generate` needs to know to prompt this vocabulary."""
    end = ids["<|endoftext|>"]
    return GenerationConfig(
        decoder_start_token_id=ids["<|startoftranscript|>"],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=max_tokens,
        is_multilingual=True,
        lang_to_id={f"<|{language}|>": ids[f"<|{language}|>"] for language in languages},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        return_timestamps=False,
    )
