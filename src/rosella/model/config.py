"""The Dia architecture's numbers, read from and written to Transformers' `config.json`.

Field names are Transformers' own (`transformers.DiaConfig`), so one vocabulary serves both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from rosella import delay
from rosella.codec.facts import CodecLike
from rosella.errors import UserError


@dataclass(frozen=True)
class EncoderConfig:
    """The text encoder; sizes in units, positions in bytes."""

    hidden_size: int = 1024
    num_hidden_layers: int = 12
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    head_dim: int = 128
    intermediate_size: int = 4096
    max_position_embeddings: int = 1024
    vocab_size: int = 256
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    initializer_range: float = 0.02


@dataclass(frozen=True)
class DecoderConfig:
    """The audio decoder; positions in frames, `num_channels` codebooks of `vocab_size` ids each."""

    hidden_size: int = 2048
    num_hidden_layers: int = 18
    num_attention_heads: int = 16
    num_key_value_heads: int = 4
    head_dim: int = 128
    cross_num_attention_heads: int = 16
    cross_num_key_value_heads: int = 16
    cross_head_dim: int = 128
    cross_hidden_size: int = 1024
    intermediate_size: int = 8192
    max_position_embeddings: int = 3072
    vocab_size: int = 1028
    num_channels: int = 9
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    initializer_range: float = 0.02
    eos_token_id: int = 1024
    pad_token_id: int = 1025
    bos_token_id: int = 1026


@dataclass(frozen=True)
class DiaConfig:
    """A whole model, the codec it speaks through, and how its decoder treats text padding.

    `cross_attention_padding` is "mask", or "attend" for checkpoints whose decoder was trained on all
    `trained_text_length` text positions, padding included. `guidance` and `temperature` are what it speaks best with.
    `blocks` is how many steps it learnt to tell at once. `readers` are the heads of cross-attention, as layer and head, that
    look at what is being said, the best first (`inference.steady`); without any, nothing is known of them.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    delay_pattern: tuple[int, ...] = (0, 8, 9, 10, 11, 12, 13, 14, 15)
    codec: str = "descript/dac_44khz"
    cross_attention_padding: str = "mask"
    trained_text_length: int | None = None
    guidance: float = 3.0
    temperature: float = 1.0
    blocks: int = 1
    readers: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for wrong, sentence in _checks(self):
            if wrong:
                raise UserError(f"The model configuration is not usable: {sentence}.")

    @property
    def longest_delay(self) -> int:
        """Steps by which the last codebook of a frame comes after the first."""
        return max(self.delay_pattern)

    def fits(self, codec: CodecLike) -> bool:
        """Whether the model speaks in the codes of this codec."""
        decoder = self.decoder
        return (codec.num_codebooks, codec.codebook_size) == (decoder.num_channels, decoder.eos_token_id)

    def require(self, codec: CodecLike) -> None:
        """Raises UserError for a codec in whose codes the model does not speak."""
        if not self.fits(codec):
            raise UserError(
                f"The codec has {codec.num_codebooks} codebooks of {codec.codebook_size} entries, the model speaks "
                f"{self.decoder.num_channels} of {self.decoder.eos_token_id}: name the model's own codec."
            )

    def steps(self, frames: int) -> int:
        """Decoder steps that `frames` frames take: themselves, their end, and the delay."""
        return frames + 1 + self.longest_delay

    def text_keys(self, width: int) -> int:
        """Keys that cross-attention reads of texts padded to so many bytes: of `attend`, one stands for their padding."""
        return width + (self.cross_attention_padding == "attend")

    def room(self, before: int = 0) -> int:
        """Frames that the decoder has positions for, after so many of a prompt."""
        return self.decoder.max_position_embeddings - self.steps(before)

    def delayed(self, codes: np.ndarray, end: bool) -> np.ndarray:
        """The sequence int32 [steps, C] of codes [frames, C]; without their end, they are the prefix of a longer one."""
        decoder = self.decoder
        eos = decoder.eos_token_id if end else None
        return delay.apply(codes, self.delay_pattern, decoder.bos_token_id, eos, decoder.pad_token_id)

    def to_dict(self) -> dict[str, Any]:
        """The content of a `config.json` that Transformers reads as a DiaConfig."""
        return {
            "architectures": ["DiaForConditionalGeneration"],
            "model_type": "dia",
            "is_encoder_decoder": True,
            "dtype": "float32",
            "encoder_config": _part_to_dict(self.encoder, "dia_encoder"),
            "decoder_config": _part_to_dict(self.decoder, "dia_decoder"),
            "delay_pattern": list(self.delay_pattern),
            "norm_eps": self.decoder.norm_eps,
            "initializer_range": self.decoder.initializer_range,
            "rosella": {
                "codec": self.codec,
                "cross_attention_padding": self.cross_attention_padding,
                "trained_text_length": self.trained_text_length,
                "guidance": self.guidance,
                "temperature": self.temperature,
                "blocks": self.blocks,
                "readers": [list(reader) for reader in self.readers],
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DiaConfig:
        """Reads a `config.json`; UserError when it describes another architecture."""
        if values.get("model_type") != "dia":
            raise UserError(
                f"The model type is {values.get('model_type')!r}, not 'dia'; choose a Dia model directory."
            )
        extra = {"delay_pattern": tuple(values["delay_pattern"])} if values.get("delay_pattern") else {}
        return cls(
            encoder=_part_from_dict(EncoderConfig, values.get("encoder_config") or {}),
            decoder=_part_from_dict(DecoderConfig, values.get("decoder_config") or {}),
            **extra,
            **_own_from_dict(values.get("rosella", {})),
        )


def dia_1_6b() -> DiaConfig:
    """nari-labs/Dia-1.6B-0626: 1.61 B parameters, nine DAC codebooks at 86 frames/s."""
    return DiaConfig()


def mini() -> DiaConfig:
    """The embedded speaking model: about 8 M parameters, eight mel-codec codebooks at 50 frames/s."""
    return DiaConfig(
        encoder=EncoderConfig(256, 3, 4, 4, 64, intermediate_size=512, max_position_embeddings=512),
        decoder=DecoderConfig(
            256,
            5,
            4,
            4,
            64,
            cross_num_attention_heads=4,
            cross_num_key_value_heads=4,
            cross_head_dim=64,
            cross_hidden_size=256,
            intermediate_size=512,
            max_position_embeddings=1024,
            vocab_size=260,
            num_channels=8,
            eos_token_id=256,
            pad_token_id=257,
            bos_token_id=258,
        ),
        delay_pattern=tuple(range(8)),
        codec="mini",
        guidance=1.5,
        temperature=0.8,
    )


def preset(name: str, overrides: dict[str, Any]) -> DiaConfig:
    """The preset `mini` or `dia_1_6b`, with single values of its `config.json` replaced; UserError for others."""
    values = {"mini": mini, "dia_1_6b": dia_1_6b}[name]().to_dict()
    return DiaConfig.from_dict(_merge(values, overrides, "model.overrides"))


def _merge(values: dict[str, Any], changes: dict[str, Any], prefix: str) -> dict[str, Any]:
    unknown = changes.keys() - values.keys()
    if unknown:
        raise UserError(f"The key {prefix}.{min(unknown)} is unknown: it may be {', '.join(values)}.")
    nested = {
        key: _merge(values[key], change, f"{prefix}.{key}") if isinstance(values[key], dict) else change
        for key, change in changes.items()
    }
    return {**values, **nested}


def _checks(config: DiaConfig) -> list[tuple[bool, str]]:
    encoder, decoder = config.encoder, config.decoder
    attend, length = config.cross_attention_padding == "attend", config.trained_text_length
    heads = [
        (encoder.num_attention_heads, encoder.num_key_value_heads),
        (decoder.num_attention_heads, decoder.num_key_value_heads),
        (decoder.cross_num_attention_heads, decoder.cross_num_key_value_heads),
    ]
    ids = (decoder.eos_token_id, decoder.pad_token_id - 1, decoder.bos_token_id - 2, decoder.vocab_size - 4)
    return [
        (
            len(config.delay_pattern) != decoder.num_channels,
            f"{len(config.delay_pattern)} delays for {decoder.num_channels} codebooks",
        ),
        (min(config.delay_pattern) != config.delay_pattern[0], "codebook 0 must have the smallest delay"),
        (config.delay_pattern[0] != 0, "codebook 0 must have delay 0"),
        (len(set(ids)) != 1, "PAD must be EOS + 1, BOS EOS + 2 and the vocabulary EOS + 4"),
        (any(queries % keys for queries, keys in heads), "key heads must divide query heads"),
        (encoder.head_dim % 2 != 0 or decoder.head_dim % 2 != 0, "rotary embedding needs an even head size"),
        (
            decoder.cross_hidden_size != encoder.hidden_size,
            "cross_hidden_size differs from the encoder's hidden_size",
        ),
        (
            config.cross_attention_padding not in ("mask", "attend"),
            "cross_attention_padding is neither mask nor attend",
        ),
        (config.blocks < 1, f"blocks of {config.blocks} steps"),
        (any(not _is_head(reader, decoder) for reader in config.readers), "readers are no heads that it has"),
        (attend != (length is not None), "attend needs trained_text_length, and only attend does"),
    ]


def _is_head(reader: tuple[int, int], decoder: DecoderConfig) -> bool:
    layer, head = reader
    return 0 <= layer < decoder.num_hidden_layers and 0 <= head < decoder.cross_num_attention_heads


def _part_to_dict(part: EncoderConfig | DecoderConfig, model_type: str) -> dict[str, Any]:
    values = asdict(part)
    theta = values.pop("rope_theta")
    rope = {"rope_type": "default", "rope_theta": theta}
    return {"model_type": model_type, "hidden_act": "silu", **values, "rope_parameters": rope}


def _own_from_dict(values: dict[str, Any]) -> dict[str, Any]:
    """Rosella's own numbers; one that is not known may change what the model computes."""
    unknown = values.keys() - {field.name for field in fields(DiaConfig)}
    if unknown:
        raise UserError(
            f"The model's config.json has the key rosella.{min(unknown)}, which this version of Rosella does not know: "
            "take the version that wrote it."
        )
    return values | {"readers": tuple(tuple(reader) for reader in values.get("readers", ()))}


def _part_from_dict(kind: type, values: dict[str, Any]) -> Any:
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default" or values.get("hidden_act", "silu") != "silu":
        raise UserError(
            "The model uses a rotary embedding or an activation that Dia does not have; choose a Dia model."
        )
    known = {f.name: values[f.name] for f in fields(kind) if values.get(f.name) is not None}
    if "rope_theta" in rope:
        known["rope_theta"] = rope["rope_theta"]
    return kind(**known)
