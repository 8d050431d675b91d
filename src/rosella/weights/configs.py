"""The configuration of a home: from its `config.json`, or from the shapes of its tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rosella.errors import UserError
from rosella.files import write_text
from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig
from rosella.weights.names import RULES, Kind, pattern
from rosella.weights.tensors import Stored

CONFIG = "config.json"
_IDS = ("eos_token_id", "pad_token_id", "bos_token_id")


def read_config(path: Path) -> DiaConfig:
    """A `config.json` of Transformers, of Rosella or of Nari's Dia, which had other names in its first release.

    Nari's and older versions of Transformers have the special ids at the top.
    """
    values = read_json(path)
    if "data" in values and "model" in values:
        return _first_release(path, values["model"], values["data"])
    ids = {name: values[name] for name in _IDS if values.get(name) is not None}
    decoder = {**ids, **(values.get("decoder_config") or {})}
    return DiaConfig.from_dict({**values, "decoder_config": decoder})


def write_config(path: Path, config: DiaConfig, dtype: str = "float32") -> None:
    """A `config.json` as our model directories have it; `dtype` is what loading makes of the weights."""
    write_json(path, {**config.to_dict(), "dtype": dtype})


def note_readers(path: Path, readers: Sequence[tuple[int, int]]) -> None:
    """Writes into a `config.json` of ours which heads read along; UserError where it is another's."""
    values = read_json(path)
    if not is_ours(path):
        raise UserError(
            f"{path} is not of Rosella's making: convert the model first (rosella convert --to rosella)."
        )
    own = {**values["rosella"], "readers": [list(reader) for reader in readers]}
    write_json(path, {**values, "rosella": own})


def is_ours(path: Path) -> bool:
    """Whether a `config.json` says what only Rosella writes down, how the decoder treats padding among it."""
    return "rosella" in read_json(path)


def attend_to_padding(config: DiaConfig, trained_text_length: int | None = None) -> DiaConfig:
    """The same model, known to have been trained on text padding, by default as long as the encoder reads."""
    length = trained_text_length or config.encoder.max_position_embeddings
    return replace(config, cross_attention_padding="attend", trained_text_length=length)


def timescales(config: DiaConfig) -> dict[str, np.ndarray]:
    """The rotary timescales float32 [head_dim / 2] that Parkiet keeps among its parameters."""
    found = {}
    for side, part in (("encoder", config.encoder), ("decoder", config.decoder)):
        scale = part.rope_theta ** (np.arange(0, part.head_dim, 2) / part.head_dim)
        for layer in range(part.num_hidden_layers):
            name = f"{side}/layers/{layer}/self_attention/rotary_emb/timescale"
            found[name] = scale.astype(np.float32)
    return found


def nari_config(config: DiaConfig, dtype: str) -> dict[str, Any]:
    """The content of a `config.json` that Nari's Dia and Parkiet read."""
    values: dict[str, Any] = {**config.to_dict(), "dtype": dtype, "torch_dtype": dtype}
    decoder = values["decoder_config"]
    for part, source in (("encoder_config", config.encoder), ("decoder_config", config.decoder)):
        values[part]["rope_theta"] = source.rope_theta
        del values[part]["rope_parameters"]
    return values | {name: decoder.pop(name) for name in _IDS}


def config_from_shapes(named: Kind, stored: Mapping[str, Stored], where: Path) -> DiaConfig:
    """What the names and shapes of Nari's or Parkiet's tensors tell, and Dia's own values for the rest.

    Norm epsilon, rotary base, longest text and longest audio leave no trace there.
    """
    names = {rule.ours: pattern(rule, named) for rule in RULES}
    missing = sorted(
        first for first in (name.replace("{i}", "0") for name in names.values()) if first not in stored
    )
    if missing:
        raise UserError(
            f"The weights in {where} are not a whole Dia model (missing {'; missing '.join(missing)}); copy them again."
        )
    shapes = {ours: stored[name.replace("{i}", "0")].shape for ours, name in names.items()}
    counts = {
        ours: sum(name.replace("{i}", str(i)) in stored for i in range(len(stored)))
        for ours, name in names.items()
    }
    try:
        encoder, decoder = _encoder(shapes, counts), _decoder(shapes, counts)
    except ValueError as error:
        raise UserError(f"The shapes of the weights in {where} are not those of a Dia model.") from error
    usual = DiaConfig()
    if decoder.num_channels != len(usual.delay_pattern):
        raise UserError(
            f"A model of {decoder.num_channels} codebooks, as in {where}, has no usual delays: "
            f"put its config.json into {where if where.is_dir() else where.parent}."
        )
    return replace(usual, encoder=encoder, decoder=decoder)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; UserError when the file is absent or holds something else."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"There is no {path}; give the directory of a whole model.") from error
    except ValueError as error:
        raise UserError(f"The file {path} is not valid JSON; copy the model again.") from error
    if not isinstance(values, dict):
        raise UserError(f"The file {path} holds no JSON object; copy the model again.")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """As Transformers writes it."""
    write_text(path, json.dumps(values, indent=2, sort_keys=True) + "\n")


def _first_release(path: Path, model: dict[str, Any], data: dict[str, Any]) -> DiaConfig:
    try:
        encoder, decoder = model["encoder"], model["decoder"]
        shared = {
            "norm_eps": model.get("normalization_layer_epsilon", 1e-5),
            "rope_theta": model.get("rope_max_timescale", 10000.0),
        }
        return DiaConfig(
            encoder=EncoderConfig(
                hidden_size=encoder["n_embd"],
                num_hidden_layers=encoder["n_layer"],
                num_attention_heads=encoder["n_head"],
                num_key_value_heads=encoder["n_head"],
                head_dim=encoder["head_dim"],
                intermediate_size=encoder["n_hidden"],
                max_position_embeddings=data["text_length"],
                vocab_size=model["src_vocab_size"],
                **shared,
            ),
            decoder=DecoderConfig(
                hidden_size=decoder["n_embd"],
                num_hidden_layers=decoder["n_layer"],
                num_attention_heads=decoder["gqa_query_heads"],
                num_key_value_heads=decoder["kv_heads"],
                head_dim=decoder["gqa_head_dim"],
                cross_num_attention_heads=decoder["cross_query_heads"],
                cross_num_key_value_heads=decoder["cross_query_heads"],
                cross_head_dim=decoder["cross_head_dim"],
                cross_hidden_size=encoder["n_embd"],
                intermediate_size=decoder["n_hidden"],
                max_position_embeddings=data["audio_length"],
                vocab_size=model["tgt_vocab_size"],
                num_channels=data["channels"],
                eos_token_id=data["audio_eos_value"],
                pad_token_id=data["audio_pad_value"],
                bos_token_id=data["audio_bos_value"],
                **shared,
            ),
            delay_pattern=tuple(data["delay_pattern"]),
        )
    except KeyError as error:
        raise UserError(f"The file {path} does not say {error.args[0]}; copy the model again.") from error


def _encoder(shapes: dict[str, tuple[int, ...]], counts: dict[str, int]) -> EncoderConfig:
    vocabulary, width = shapes["encoder.embedding"]
    _, heads, head_dim = shapes["encoder.layers.self_attention.query"]
    return EncoderConfig(
        hidden_size=width,
        num_hidden_layers=counts["encoder.layers.mlp.down"],
        num_attention_heads=heads,
        num_key_value_heads=shapes["encoder.layers.self_attention.key"][1],
        head_dim=head_dim,
        intermediate_size=shapes["encoder.layers.mlp.down"][0],
        vocab_size=vocabulary,
    )


def _decoder(shapes: dict[str, tuple[int, ...]], counts: dict[str, int]) -> DecoderConfig:
    width, codebooks, vocabulary = shapes["decoder.logits"]
    _, heads, head_dim = shapes["decoder.layers.self_attention.query"]
    _, cross_heads, cross_head_dim = shapes["decoder.layers.cross_attention.query"]
    cross_width, cross_key_heads, _ = shapes["decoder.layers.cross_attention.key"]
    return DecoderConfig(
        hidden_size=width,
        num_hidden_layers=counts["decoder.layers.mlp.down"],
        num_attention_heads=heads,
        num_key_value_heads=shapes["decoder.layers.self_attention.key"][1],
        head_dim=head_dim,
        cross_num_attention_heads=cross_heads,
        cross_num_key_value_heads=cross_key_heads,
        cross_head_dim=cross_head_dim,
        cross_hidden_size=cross_width,
        intermediate_size=shapes["decoder.layers.mlp.down"][0],
        vocab_size=vocabulary,
        num_channels=codebooks,
        eos_token_id=vocabulary - 4,
        pad_token_id=vocabulary - 3,
        bos_token_id=vocabulary - 2,
    )
