"""What a Transformers folder needs beside its weights: tokenizer, feature extractor, codec and processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rosella import dialogue
from rosella.codec import Codec, load_codec
from rosella.model.config import DiaConfig
from rosella.weights.configs import CONFIG, read_json, write_json

PROCESSOR = Path(__file__).with_name("processing_rosella.py")
"""What is shipped with every folder, under this name."""


def complete(directory: Path, config: DiaConfig, codec: str | None = None, with_codec: bool = True) -> None:
    """Adds to a directory with weights, `config.json` and `generation_config.json` all else that Transformers needs.

    `AutoProcessor.from_pretrained(directory, trust_remote_code=True)` and `DiaForConditionalGeneration.from_pretrained`
    then speak as Rosella does (inside `RosellaProcessor.steady`), offline and wherever the directory is moved. `codec`
    replaces the one that `config` names. Raises UserError when the codec cannot be loaded or is not the model's. Without a
    codec the processor reads texts but neither reads nor makes audio, as `WITHOUT_CODEC` says.
    """
    from rosella.convert.processing_rosella import RosellaProcessor

    loaded = load_codec(codec or config.codec) if with_codec else None
    if loaded is not None:
        config.require(loaded)
    ids = {name: getattr(config.decoder, name) for name in ("eos_token_id", "pad_token_id", "bos_token_id")}
    settings = {"delay_pattern": list(config.delay_pattern), **ids}
    parts = _feature_extractor(loaded), _tokenizer(config), _audio_tokenizer(loaded)
    RosellaProcessor.register_for_auto_class()
    RosellaProcessor(*parts, settings, config.trained_text_length).save_pretrained(directory)
    _let_it_speak_as_here(directory, config)


WITHOUT_CODEC = """## Without its codec
These weights, their tokenizer and their processor were written with `--without-codec`.

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = DiaForConditionalGeneration.from_pretrained(folder)
    inputs = processor(text=["[S1] Hello. [S2] Hi!"])
    with processor.steady(model, inputs):
        codes = model.generate(**inputs)

The model speaks in codes of `{codec}`. To make sound of them, or to give audio prompts, convert the model again
without that option on a machine that has the codec."""


def _tokenizer(config: DiaConfig) -> Any:
    """Bytes, and the ids that `rosella.dialogue` gives the tags; added tokens that are named by id survive saving."""
    from transformers import AddedToken, DiaTokenizer

    longest = config.encoder.max_position_embeddings
    tags = {number: AddedToken(tag) for number, tag in enumerate(dialogue.TAGS, start=1)}
    return DiaTokenizer(max_length=longest, model_max_length=longest, added_tokens_decoder=tags)


def _feature_extractor(codec: Codec | None) -> Any:
    from transformers import DiaFeatureExtractor

    if codec is None:
        return DiaFeatureExtractor()
    return DiaFeatureExtractor(sampling_rate=codec.sample_rate, hop_length=codec.hop)


def _audio_tokenizer(codec: Codec | None) -> Any:
    from rosella.codec.dac import DacCodec
    from rosella.convert.processing_rosella import MelTokenizer

    if codec is None:
        return None
    return codec.model if isinstance(codec, DacCodec) else MelTokenizer(codec)


def _let_it_speak_as_here(directory: Path, config: DiaConfig) -> None:
    # Transformers computes in the type that config.json names; Rosella in float32, whatever the files hold.
    _update(directory / CONFIG, dtype="float32")
    # To this it adds the largest delay and the prompt: then both end where the model holds no more.
    longest = config.decoder.max_position_embeddings - config.longest_delay
    _update(directory / "generation_config.json", max_length=longest)


def _update(path: Path, **changes: Any) -> None:
    write_json(path, {**read_json(path), **changes})
