"""The processor of a speaking model made with Rosella; this file lies beside the weights and needs Transformers alone.

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = DiaForConditionalGeneration.from_pretrained(folder)
    inputs = processor(text=["[S1] Hello. [S2] Hi!"])
    with processor.steady(model, inputs):
        waves = processor.batch_decode(model.generate(**inputs))

Only models that speak through Rosella's mel codec also need the package `rosella-tts`, which holds that codec.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.functional import pad
from torch.utils.hooks import RemovableHandle
from transformers import BatchFeature, DacModel, DiaProcessor, ProcessorMixin
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.hub import cached_file

CODEC = "codec"
"""The codec's folder inside the model's."""

TAGS = ("[S1]", "[S2]", "[S3]", "[S4]")
_TAG = re.compile(r"\[\s*S\s*\d+\s*\]", re.IGNORECASE)
_SPACES = str.maketrans(dict.fromkeys("\n\r\t\u2028\u2029", " "))
_NO_CODEC = (
    "This folder holds no codec, so its processor neither reads nor makes audio: convert the model again where the "
    "codec is at hand, without --without-codec."
)
BACK, AHEAD = 6, 12
"""Bytes before the one that is being said, and behind it, which heads that read along may look at (`steady`)."""
BELIEVED, STRIDE, LEAST = 3, 2, 1e-4
"""The place is followed by so many heads, the best, and goes on by so many bytes a step at most; a byte that they do not
look at is taken to be looked at so much. All these numbers are those of `rosella.inference.reading`."""
_HUB = ("cache_dir", "force_download", "token", "local_files_only", "revision")


class RosellaProcessor(DiaProcessor):
    """DiaProcessor with the model's own delays, ids, sample rate, codec and rules for text.

    `audio_settings` holds `delay_pattern`, `eos_token_id`, `pad_token_id` and `bos_token_id`. `trained_text_length` is
    set for models whose decoder was trained to see the padding of texts; their inputs must go through `attend`.
    """

    def __init__(
        self,
        feature_extractor,
        tokenizer,
        audio_tokenizer,
        audio_settings: dict[str, Any],
        trained_text_length: int | None = None,
    ) -> None:
        ProcessorMixin.__init__(self, feature_extractor, tokenizer)
        self.audio_tokenizer = audio_tokenizer
        self.audio_settings = audio_settings
        self.trained_text_length = trained_text_length

    def __call__(
        self, text: str | list[str], audio=None, output_labels: bool = False, **kwargs
    ) -> BatchFeature:
        """Model inputs of texts, and of the audio prompts to go on from if there are any.

        A text without a speaker tag is said by [S1]. ValueError for text that the model cannot read: empty, too long,
        with an unknown tag or with control characters.
        """
        if audio is not None and self.audio_tokenizer is None:
            raise ValueError(_NO_CODEC)
        texts = [_spoken(each) for each in ([text] if isinstance(text, str) else text)]
        longest, limit = (
            max(len(self.tokenizer.encode(each)) for each in texts),
            self.tokenizer.model_max_length,
        )
        if longest > limit:
            raise ValueError(
                f"A text has {longest} bytes and the model reads at most {limit}; shorten or split it."
            )
        inputs = super().__call__(text=texts, audio=audio, output_labels=output_labels, **kwargs)
        if self.trained_text_length:
            # `generate` refuses an input that it does not know, so nobody forgets `attend`.
            inputs["trained_text_length"] = torch.tensor(self.trained_text_length)
        return inputs

    @torch.no_grad()
    def attend(self, model, inputs: BatchFeature, guidance_scale: float | None = None) -> BatchFeature:
        """Inputs with the `encoder_outputs` that a model needs whose decoder was trained to see the padding of texts.

        After the states of its text, each row gets the state of a lone padding id up to `trained_text_length`.
        `guidance_scale` is what `generate` will be given, by default the model's own; above 1 the unconditional rows
        follow the others. Use 1 for the model's forward. Inputs of other models are returned as they are.
        """
        if self.trained_text_length is None:
            return inputs
        ids, mask = inputs["input_ids"].to(model.device), inputs["attention_mask"].to(model.device)
        encode = model.get_encoder()
        states = encode(input_ids=ids, attention_mask=mask).last_hidden_state
        nothing = encode(input_ids=torch.zeros_like(ids[:1, :1])).last_hidden_state
        width = max(self.trained_text_length, ids.shape[1])
        whole = nothing.repeat(len(ids), width, 1)
        whole[:, : ids.shape[1]] = torch.where(mask[..., None].bool(), states, whole[:, : ids.shape[1]])
        seen = mask.sum(1, keepdim=True).clamp(min=self.trained_text_length)
        scale = model.generation_config.guidance_scale if guidance_scale is None else guidance_scale
        if (scale or 1) > 1:
            whole = torch.cat([whole, nothing.expand_as(whole)])
        changed = {
            "encoder_outputs": BaseModelOutput(last_hidden_state=whole),
            "attention_mask": (torch.arange(width, device=model.device) < seen).long(),
        }
        kept = {name: value for name, value in inputs.items() if name != "trained_text_length"}
        return BatchFeature({**kept, **changed})

    @contextmanager
    def steady(self, model, inputs: BatchFeature, said: str | list[str] | None = None) -> Iterator[None]:
        """Inside it, `model.generate` keeps its place in the texts of these inputs.

        Heads that read along, `readers` in the model's `config.json`, then see only `BACK` bytes of the text before the one
        that is being said, and `AHEAD` behind it; a model without any speaks as it does outside. `said` is what the audio
        prompts say, with which their texts begin, one for all rows or one for each. ValueError where it is not, and for a
        model whose attention is neither `sdpa` nor `eager`.
        """
        begun = self._begun(inputs, said)
        readers = [tuple(reader) for reader in getattr(model.config, "rosella", {}).get("readers", [])]
        with ExitStack() as hooks:
            if readers:
                text = (inputs["input_ids"] != self.tokenizer.pad_token_id).to(model.device)
                attended = max((self.trained_text_length or 0) - text.shape[1], 0)
                text = pad(text, (0, attended))
                _Places(readers, text, torch.tensor(begun, device=model.device)).follow(model, hooks)
            yield

    def _begun(self, inputs: BatchFeature, said: str | list[str] | None) -> list[int]:
        """How many bytes of each text its audio prompt says."""
        texts = inputs["input_ids"].tolist()
        prompted = self.get_audio_prompt_len(inputs["decoder_attention_mask"]) > 1
        each = [said] * len(texts) if isinstance(said, str) else said or []
        if len(each) != len(texts) * prompted:
            raise ValueError(
                "`said` must be what the audio prompts say, one text for all of them or one for each, and nothing "
                "without audio prompts."
            )
        heard = [self.tokenizer.encode(_spoken(one)) for one in each] or [[] for _ in texts]
        if any(text[: len(ids)] != ids for text, ids in zip(texts, heard, strict=True)):
            raise ValueError(
                "A text does not begin with what its audio prompt says: put that before what is to be said."
            )
        return [len(ids) for ids in heard]

    def batch_decode(
        self, decoder_input_ids, audio_prompt_len: int | None = None, **kwargs
    ) -> list[torch.Tensor]:
        """Float waveforms [samples] of generated sequences; one that ended at once is empty."""
        if self.audio_tokenizer is None:
            raise ValueError(_NO_CODEC)
        ids = decoder_input_ids
        bos, eos = self.audio_settings["bos_token_id"], self.audio_settings["eos_token_id"]
        begin = (
            (ids[:, :, 0] == bos).sum(1)
            if audio_prompt_len is None
            else torch.full((len(ids),), audio_prompt_len)
        )
        spoken = [row[start, 0] != eos for row, start in zip(ids, begin, strict=True)]
        return [
            super(RosellaProcessor, self).batch_decode(row[None], audio_prompt_len, **kwargs)[0].reshape(-1)
            if speaks
            else torch.zeros(0)
            for row, speaks in zip(ids, spoken, strict=True)
        ]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """Writes all that `from_pretrained` needs, the codec included if there is one."""
        if self.audio_tokenizer is not None:
            self.audio_tokenizer.save_pretrained(Path(save_directory) / CODEC)
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def get_processor_dict(cls, pretrained_model_name_or_path, **kwargs):
        hub = {name: kwargs[name] for name in _HUB if kwargs.get(name) is not None}
        values, rest = super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        return {**values, "audio_tokenizer": _load_codec(pretrained_model_name_or_path, **hub)}, rest

    def to_dict(self) -> dict[str, Any]:
        """The settings without the codec, which lies in a folder of its own."""
        codec = self.__dict__.pop("audio_tokenizer")
        try:
            return super().to_dict()
        finally:
            self.audio_tokenizer = codec

    def _merge_kwargs(self, *arguments, audio_kwargs: dict | None = None, **kwargs) -> dict[str, dict]:
        # Every method of DiaProcessor asks here for its settings, and would get those of Dia-1.6B.
        own = {
            **self.audio_settings,
            "sampling_rate": self.feature_extractor.sampling_rate,
            **(audio_kwargs or {}),
        }
        own = {name: value for name, value in own.items() if name not in kwargs}
        return super()._merge_kwargs(*arguments, audio_kwargs=own, **kwargs)


class _Places:
    """Where in their texts the rows of a generation are, and what their decoder sees of them.

    Axes: B texts, N heads, S text bytes and their padding, H head width.
    """

    def __init__(self, readers: list[tuple[int, int]], text: torch.Tensor, begun: torch.Tensor) -> None:
        """Of heads as layer and head, the best first; `text` bool [B, S] is no padding, `begun` [B] bytes of it are said."""
        self._readers, self._believed, self._text = readers, readers[:BELIEVED], text
        last = begun.sub(1).clamp(min=0)[:, None]
        self._start = torch.full(text.shape, -torch.inf, device=text.device).scatter(1, last, 0.0)
        self._likely = self._start

    def follow(self, model, hooks: ExitStack) -> None:
        """Has the model's layers read the texts so until these `hooks` are closed."""
        decoder = model.get_decoder()
        kind = decoder.config._attn_implementation
        if kind not in ("sdpa", "eager"):
            raise ValueError(
                f"Attention by {kind} cannot hide text from single heads: load the model with attn_implementation='sdpa'."
            )
        for hook in self._hooks(decoder):
            hooks.callback(hook.remove)

    def _hooks(self, decoder) -> Iterator[RemovableHandle]:
        yield decoder.register_forward_pre_hook(self._begin, with_kwargs=True)
        yield decoder.register_forward_hook(self._go_on)
        for number in {layer for layer, _ in self._readers}:
            attention = decoder.layers[number].cross_attention
            yield attention.register_forward_pre_hook(self._hide, with_kwargs=True)
            yield attention.register_forward_hook(self._note, with_kwargs=True)

    def _begin(self, _decoder, _inputs, named: dict[str, Any]) -> None:
        """Before each call of the decoder. The first of a generation reads audio prompts too, of which nothing is hidden."""
        if (cache := named["past_key_values"]) is None:
            raise ValueError("Without its cache a model does not keep its place: leave use_cache=True.")
        (count, width), read = self._text.shape, named["encoder_hidden_states"].shape
        if read[0] not in (count, 2 * count) or read[1] != width:
            raise ValueError("`generate` got other inputs than `steady`; give both the same.")
        if cache.get_seq_length() == 0:
            self._likely = self._start
        every = torch.arange(width, device=self._text.device)
        off = every - self._likely.argmax(1, keepdim=True)
        self._near = self._text & (off >= -BACK) & (off <= AHEAD)
        self._looks: list[torch.Tensor] = []

    def _hide(self, attention, inputs, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """In a call's last step all but what is near, from the heads of a layer that read along."""
        states, given = inputs[0], named["attention_mask"]
        (rows, steps), (count, width) = states.shape[:2], self._near.shape
        seen = states.new_ones(rows, attention.num_heads, steps, width, dtype=torch.bool)
        if given is not None:
            seen &= given if given.dtype == torch.bool else given == 0
        near = self._near.repeat(rows // count, 1)  # rows beyond the texts are those of guidance
        seen[:, _heads(self._readers, attention), -1] &= near[:, None]
        hidden = torch.zeros_like(seen, dtype=states.dtype).masked_fill(~seen, torch.finfo(states.dtype).min)
        return inputs, {**named, "attention_mask": hidden}

    def _note(self, attention, inputs, named: dict[str, Any], _output) -> None:
        """What the believed heads of a layer look at in that step [B, heads, S]."""
        believed, count = _heads(self._believed, attention), len(self._text)
        keys = named["past_key_values"].cross_attention_cache.layers[attention.layer_idx].keys
        theirs = keys[:count, [head // attention.num_key_value_groups for head in believed]]
        asked = attention.q_proj(inputs[0][:count, -1]).unflatten(-1, (attention.num_heads, -1))[:, believed]
        scores = torch.einsum("BNH,BNSH->BNS", asked, theirs)
        hidden = named["attention_mask"][:count, believed, -1]
        self._looks.append((scores + hidden).float().softmax(-1))

    def _go_on(self, *_) -> None:
        """To the likelihoods of the places a step later, the best being 0."""
        came = self._likely
        for by in range(1, STRIDE + 1):
            came = torch.maximum(came, pad(self._likely, (by, 0), value=-torch.inf)[:, :-by])
        gone = came + (torch.cat(self._looks, 1).mean(1) + LEAST).log()
        self._likely = gone - gone.amax(1, keepdim=True)


def _heads(readers: list[tuple[int, int]], attention) -> list[int]:
    """Those of a layer."""
    return [head for layer, head in readers if layer == attention.layer_idx]


class MelTokenizer:
    """Rosella's mel codec, answering as DiaProcessor expects of a DacModel; `codec` is a `rosella.codec.MelCodec`."""

    device = torch.device("cpu")

    def __init__(self, codec) -> None:
        self.codec = codec
        self.config = SimpleNamespace(downsampling_ratios=[codec.hop])

    def encode(self, waves: torch.Tensor) -> SimpleNamespace:
        """Codes [B, codebooks, frames] of waveforms [B, 1, samples]."""
        codes = self.codec.encode(list(waves[:, 0].numpy()))
        return SimpleNamespace(
            audio_codes=torch.stack([torch.from_numpy(each.T.astype("int64")) for each in codes])
        )

    def decode(self, audio_codes: torch.Tensor) -> SimpleNamespace:
        """Waveforms [B, samples] of codes [B, codebooks, frames]."""
        waves = self.codec.decode(list(audio_codes.transpose(1, 2).numpy()))
        return SimpleNamespace(audio_values=torch.stack([torch.from_numpy(each) for each in waves]))

    def save_pretrained(self, directory: Path) -> None:
        self.codec.network.save(directory)


def _load_codec(name_or_path, **hub) -> DacModel | MelTokenizer | None:
    """The codec in the folder or hub repository of a model; None where it holds none."""
    config: Any = cached_file(
        name_or_path, "config.json", subfolder=CODEC, _raise_exceptions_for_missing_entries=False, **hub
    )
    if config is None:
        return None
    if json.loads(Path(config).read_text("utf-8"))["model_type"] == "dac":
        return DacModel.from_pretrained(name_or_path, subfolder=CODEC, **hub)
    try:
        from rosella.codec import load_codec
    except ImportError as error:
        raise ImportError(
            "This model speaks through Rosella's mel codec: install it with `pip install rosella-tts`."
        ) from error
    cached_file(name_or_path, "model.safetensors", subfolder=CODEC, **hub)
    return MelTokenizer(load_codec(Path(config).parent))


def _spoken(text: str) -> str:
    """The text as the model was trained to read it: NFC, spaces for other white space, a speaker's tag first."""
    text = unicodedata.normalize("NFC", text.translate(_SPACES))
    control = next((each for each in text if unicodedata.category(each) in ("Cc", "Cs", "Cn")), None)
    if control:
        raise ValueError(f"The text holds U+{ord(control):04X}, which is no character to say; remove it.")
    if "<pad>" in text:
        raise ValueError("The text holds a literal <pad>, which would become padding; remove it.")
    unknown = next((tag for tag in _TAG.findall(text) if tag not in TAGS), None)
    if unknown:
        raise ValueError(f"The speaker tag {unknown} is unknown; use one of {', '.join(TAGS)}.")
    if not _TAG.sub("", text).strip():
        raise ValueError("The text is empty; write something to say beside speaker tags and spaces.")
    return text if text.lstrip().startswith(TAGS) else f"{TAGS[0]} {text}"
