"""Exported folders as a user of Transformers has them: loaded by its own classes, from files, wherever they lie."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from rosella import audio, delay, dialogue, mini
from rosella.codec import load_codec
from rosella.codec.mel import MelCodecConfig, MelNetwork
from rosella.convert import processing_rosella
from rosella.convert.conversion import convert
from rosella.convert.huggingface import complete
from rosella.errors import UserError
from rosella.inference import reading
from rosella.inference.generate import generate
from rosella.inference.layout import Prompt
from rosella.inference.settings import Sampling
from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig
from rosella.pytorch import load_model as load_torch
from rosella.speak import Voice, load
from rosella.weights import load_model, save_model
from tiny_dia import ATTEND, CONFIG, READS, model

TEXTS = ["[S1] één [S2] twee", "[S3] drie (laughs) [S4] vier, vijf en zes", "zeven"]
ROUNDING = 1e-5  # of the same codes decoded one by one and in a batch
GREEDY = {"guidance": 3.0, "temperature": 0.0, "top_k": 8}
PRODUCTION = DiaConfig(
    EncoderConfig(16, 1, 2, 2, 8, intermediate_size=24),
    DecoderConfig(16, 1, 2, 1, 8, 2, 2, 8, 16, intermediate_size=24),
)


def write_codec(folder):
    """A mel codec of the tiny model's shape, at a frame rate and sample rate that no default has."""
    torch.manual_seed(0)
    network = MelNetwork(
        MelCodecConfig(8000, 80, 256, 12, num_codebooks=3, codebook_size=16, width=8, blocks=1, n_fft=320)
    )
    network.quantiser.codebooks.normal_()
    network.save(folder)


def exported(folder, config, codec):
    """A complete folder, moved after it was written."""
    save_model(folder / "first", model(config), config)
    complete(folder / "first", config, str(codec))
    return (folder / "first").rename(folder / "moved")


def opened(folder):
    from transformers import AutoProcessor, DiaForConditionalGeneration

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    return processor, DiaForConditionalGeneration.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec") / "mel"
    write_codec(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, codec):
    folder = exported(tmp_path_factory.mktemp("tiny"), CONFIG, codec)
    return folder, *opened(folder)


@pytest.fixture(scope="module")
def attending(tmp_path_factory, codec):
    return opened(exported(tmp_path_factory.mktemp("attend"), ATTEND, codec))


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    from transformers import DacConfig, DacModel

    folder = tmp_path_factory.mktemp("production")
    sizes = {"encoder_hidden_size": 4, "decoder_hidden_size": 32, "downsampling_ratios": [2, 4, 8, 8]}
    torch.manual_seed(0)
    DacModel(DacConfig(sampling_rate=44_100, **sizes)).save_pretrained(folder / "dac")
    return exported(folder, PRODUCTION, folder / "dac")


def speech(processor, dia, inputs, frames, guidance=3.0, **others):
    """What the documentation tells a user to run; `frames` of None is as many as the model holds."""
    settings = {"do_sample": False, "guidance_scale": guidance, "top_k": 8}
    if frames:
        settings["max_new_tokens"] = frames + max(processor.audio_settings["delay_pattern"]) + 1
    made = dia.generate(**inputs, **settings)
    return made, processor.batch_decode(made, **others)


def test_the_folder_speaks_as_rosella_does(tiny):
    folder, processor, dia = tiny
    speaker = load(folder)
    spoken = speaker.speak(TEXTS, **{**GREEDY, "guidance": 1.0})
    _, waves = speech(processor, dia, processor(text=TEXTS), frames=None, guidance=1.0)
    for ours, theirs in zip(spoken, waves, strict=True):
        np.testing.assert_allclose(ours.waveform, theirs.numpy(), atol=ROUNDING)
        assert len(ours.codes) > 20
    assert not all(each.stopped for each in spoken), "some row is cut off at the length limit"


def test_it_goes_on_in_the_voice_of_a_clip(tiny):
    folder, processor, dia = tiny
    speaker = load(folder)
    clip = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    turns = ["[S2] een", "[S2] twee [S1] drie"]
    spoken = speaker.speak(turns, Voice(clip, 8000, "[S1] acht"), max_seconds=0.3, **GREEDY)
    texts = [f"[S1] acht {turn}" for turn in turns]
    inputs = processor(text=texts, audio=[audio.normalise_loudness(clip, 8000)] * 2, sampling_rate=8000)
    length = processor.get_audio_prompt_len(inputs["decoder_attention_mask"])
    assert length == 1 + 13
    _, waves = speech(processor, dia, inputs, frames=30, audio_prompt_len=length)
    for ours, theirs in zip(spoken, waves, strict=True):
        np.testing.assert_allclose(ours.waveform, theirs.numpy(), atol=ROUNDING)


def test_audio_is_written_at_the_models_rate(tiny, tmp_path):
    import soundfile

    tiny[1].save_audio(torch.zeros(800), tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").samplerate == 8000


def test_a_clip_at_another_rate_is_refused(tiny):
    with pytest.raises(ValueError, match="8000"):
        tiny[1](text=["een"], audio=[np.zeros(1000, np.float32)], sampling_rate=16_000)


def test_a_speech_that_ends_at_once_is_empty(tiny):
    _, processor, dia = tiny
    ids, _ = speech(processor, dia, processor(text=TEXTS[:2]), frames=8)
    eos, pad = CONFIG.decoder.eos_token_id, CONFIG.decoder.pad_token_id
    ids[0, 1:, 0] = torch.tensor([eos] + [pad] * (ids.shape[1] - 2))
    assert [len(wave) > 0 for wave in processor.batch_decode(ids)] == [False, True]


NASTY = ["[S1] a[S2] b [S3]c[S4]d", "zoë\n\ten ge\u0301e\u0301n 日本語 🎙", "geen tag", " [S4] laat"]
REFUSED = ["", " [S1] ", "[S5] a", "[s1] a", "a\x01b", "a\x00", "<pad> a", "\ud800"]  # fmt: skip


def test_its_ids_are_those_of_the_text_contract(tiny):
    """Also of the tokenizer alone, which knows all four tags and nothing else of the contract."""
    from transformers import AutoTokenizer

    folder, processor, _ = tiny
    for each in NASTY:
        tagged = each if each.lstrip().startswith("[") else f"[S1] {each}"
        assert processor(text=each)["input_ids"][0].tolist() == dialogue.encode(tagged).tolist()
    ids = AutoTokenizer.from_pretrained(folder)(NASTY[0])["input_ids"]
    assert ids == dialogue.encode(NASTY[0]).tolist() and {1, 2, 3, 4} < set(ids)


@pytest.mark.parametrize("refused", REFUSED)
def test_it_refuses_what_rosella_refuses(tiny, refused):
    with pytest.raises(UserError):
        dialogue.encode(refused)
    with pytest.raises(ValueError, match=r"text|speaker tag"):
        tiny[1](text=["goed", refused])


def test_a_text_too_long_is_refused(tiny):
    longest = CONFIG.encoder.max_position_embeddings
    assert tiny[1](text="[S1]" + "é" * 31 + "e")["input_ids"].shape == (1, longest)
    with pytest.raises(ValueError, match=f"has {longest + 1} bytes .* at most {longest}"):
        tiny[1](text="[S1]" + "é" * 32)


def test_labels_for_training_follow_the_delay_pattern(tiny):
    folder, processor, _ = tiny
    wave = np.random.default_rng(1).normal(0, 0.1, 800).astype(np.float32)
    made = processor(text="een", audio=wave, generation=False, output_labels=True)
    decoder = CONFIG.decoder
    special = decoder.bos_token_id, decoder.eos_token_id, decoder.pad_token_id
    wanted = delay.apply(load_codec(folder / "codec").encode([wave])[0], CONFIG.delay_pattern, *special)
    np.testing.assert_array_equal(made["decoder_input_ids"][0], wanted[:-1])
    labels = np.where(delay.learnable(wanted[1:], special[0], special[2]), wanted[1:], -100)
    np.testing.assert_array_equal(made["labels"], labels.T)


def test_both_halves_survive_being_saved_by_transformers(tiny, tmp_path):
    _, processor, dia = tiny
    processor.save_pretrained(tmp_path)
    dia.save_pretrained(tmp_path)
    again, same = opened(tmp_path)
    inputs = processor(text=TEXTS)
    assert all(torch.equal(value, again(text=TEXTS)[name]) for name, value in inputs.items())
    pairs = zip(
        speech(processor, dia, inputs, 20)[1], speech(again, same, again(text=TEXTS), 20)[1], strict=True
    )
    assert all(torch.equal(one, other) for one, other in pairs)
    assert load_model(tmp_path)[1].codec == CONFIG.codec


def test_half_precision_weights_are_computed_in_float32(tmp_path, codec):
    from transformers import DiaForConditionalGeneration

    save_model(tmp_path, model(), CONFIG, dtype="float16")
    complete(tmp_path, CONFIG, str(codec))
    assert DiaForConditionalGeneration.from_pretrained(tmp_path).dtype == torch.float32


def test_another_codec_is_refused(tmp_path, codec):
    config = replace(CONFIG, decoder=replace(CONFIG.decoder, num_channels=4), delay_pattern=(0, 1, 2, 3))
    with pytest.raises(UserError, match="3 codebooks of 16 entries, the model speaks 4 of 16"):
        complete(tmp_path, config, str(codec))


def test_without_rosella_the_mel_codec_says_what_to_install(tiny, monkeypatch):
    from transformers import AutoProcessor

    for name in ("rosella", "rosella.codec"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install rosella-tts"):
        AutoProcessor.from_pretrained(tiny[0], trust_remote_code=True)


def test_production_settings_need_neither_rosella_nor_our_processor(production, monkeypatch):
    """Our processor and the stock one, on one folder: the same inputs and the same audio."""
    from transformers import AutoFeatureExtractor, AutoTokenizer, DacModel, DiaProcessor

    for name in ("rosella", "rosella.codec"):
        monkeypatch.setitem(sys.modules, name, None)
    ours, dia = opened(production)
    dac = DacModel.from_pretrained(production, subfolder="codec")
    stock = DiaProcessor(
        AutoFeatureExtractor.from_pretrained(production), AutoTokenizer.from_pretrained(production), dac
    )
    texts = ["[S1] één [S3] drie", "[S4] vier"]
    random = np.random.default_rng(0)
    clips = [random.normal(0, 0.1, samples).astype(np.float32) for samples in (3000, 1500)]
    for prompts in (None, clips):
        inputs, same = ours(text=texts, audio=prompts), stock(text=texts, audio=prompts)
        assert inputs.keys() == same.keys()
        assert all(torch.equal(inputs[name], same[name]) for name in inputs)
        made, waves = speech(ours, dia, inputs, frames=8)
        for one, other in zip(waves, stock.batch_decode(made), strict=True):
            assert torch.equal(one, other) and len(one) >= 8 * 512
    assert 3 in inputs["input_ids"] and 4 in inputs["input_ids"]


def test_a_model_that_attends_to_padding_gets_it_back(attending):
    processor, dia = attending
    inputs = processor(text=TEXTS)
    ids, lengths = inputs["input_ids"].numpy(), inputs["attention_mask"].sum(1).numpy()
    assert lengths.max() > ATTEND.trained_text_length > lengths.min(), (
        "longer and shorter texts than trained on"
    )
    random = np.random.default_rng(0)
    tokens = random.integers(0, 19, (3, 10, 3))
    ours = np.asarray(model(ATTEND)(ids.astype(np.int32), lengths.astype(np.int32), tokens.astype(np.int32)))
    passed = {**processor.attend(dia, inputs, guidance_scale=1.0), "decoder_input_ids": torch.tensor(tokens)}
    passed.pop("decoder_attention_mask")
    plain = {**passed, "encoder_outputs": None, "attention_mask": inputs["attention_mask"]}

    def difference(given):
        with torch.no_grad():
            theirs = dia(**given).logits.reshape(3, 3, 10, -1).transpose(1, 2).numpy()
        return np.linalg.norm(ours - theirs) / np.linalg.norm(ours)

    assert difference(passed) < 1e-5
    assert difference(plain) > 1e-2


def test_a_model_that_attends_to_padding_speaks_as_rosella_does(attending):
    processor, dia = attending
    ids, lengths = dialogue.pad_batch([dialogue.encode(each) for each in (*TEXTS[:2], "[S1] zeven")])
    made = generate(model(ATTEND), ids, lengths, max_frames=30, sampling=Sampling(**GREEDY))
    inputs = processor.attend(dia, processor(text=TEXTS), guidance_scale=3.0)
    theirs, _ = speech(processor, dia, inputs, frames=30)
    for codes, row in zip(made.codes, theirs.numpy(), strict=True):
        np.testing.assert_array_equal(codes, delay.undo(row, ATTEND.delay_pattern, 16)[0])


def test_forgetting_the_padding_it_attends_to_is_refused(attending):
    processor, dia = attending
    with pytest.raises(ValueError, match="trained_text_length"):
        dia.generate(**processor(text=TEXTS), max_new_tokens=4)


def test_attend_leaves_other_models_alone(tiny):
    inputs = tiny[1](text=TEXTS)
    assert tiny[1].attend(tiny[2], inputs) is inputs


LONG = ["[S1] één [S2] twee", "[S3] drie [S4] vier, vijf en zes en zes"]
SAID = ["[S2] acht", "negen en tien en elf"]
BYTES_SAID = 6, 22
CLIPS = [np.random.default_rng(n).normal(0, 0.1, 80 * n).astype(np.float32) for n in (12, 5)]


@pytest.fixture(scope="module", params=[READS, replace(ATTEND, readers=READS.readers)], ids=["", "attends"])
def reading_along(request, tmp_path_factory, codec):
    """A folder whose `config.json` names heads that read along, as Transformers has it and as Rosella does."""
    folder = exported(tmp_path_factory.mktemp("reads"), request.param, codec)
    return *opened(folder), load_torch(folder)[0], load_codec(folder / "codec")


def both(reading_along, guidance, prompted, steady):
    """The greedy sequences of Transformers and of Rosella [B, steps, C], behind clips of unlike length if any."""
    processor, dia, ours, codec = reading_along
    prompts = [Prompt(*each) for each in zip(codec.encode(CLIPS), BYTES_SAID, strict=True)]
    clips, said, prompts = (CLIPS, SAID, prompts) if prompted else (None, None, None)
    texts = [" ".join(parts) for parts in zip(SAID, LONG, strict=True)] if prompted else LONG
    inputs = processor.attend(dia, processor(text=texts, audio=clips, sampling_rate=8000), guidance)
    with processor.steady(dia, inputs, said) if steady else nullcontext():
        theirs, _ = speech(processor, dia, inputs, 30, guidance)
    sampling = Sampling(guidance, temperature=0.0, top_k=8, steady=steady)
    texts = dialogue.pad_batch([dialogue.encode(dialogue.tagged(each)) for each in texts])
    running = ours.begin(*texts, 30, prompts, sampling)
    running.advance()
    wanted = running.so_far().tokens
    begun = processor.get_audio_prompt_len(inputs["decoder_attention_mask"])
    return theirs[:, begun : begun + wanted.shape[1]].numpy(), wanted


def hooks(dia):
    return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in dia.modules()]


@pytest.mark.parametrize("prompted", [False, True], ids=["", "prompted"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_steady_keeps_the_place_that_rosella_keeps(reading_along, guidance, prompted):
    """And leaves no trace: outside, all heads see all of the text."""
    theirs, wanted = both(reading_along, guidance, prompted, steady=True)
    np.testing.assert_array_equal(theirs, wanted)
    free, unbound = both(reading_along, guidance, prompted, steady=False)
    np.testing.assert_array_equal(free, unbound)
    assert not np.array_equal(theirs[:, :20], free[:, :20])


def test_attention_that_shows_its_weights_keeps_the_place_too(reading_along):
    dia = reading_along[1]
    dia.set_attn_implementation("eager")
    theirs, wanted = both(reading_along, 3.0, prompted=False, steady=True)
    dia.set_attn_implementation("sdpa")
    np.testing.assert_array_equal(theirs, wanted)


def test_every_speech_begins_anew_and_afterwards_no_hook_is_left(reading_along):
    processor, dia, *_ = reading_along
    before, inputs = hooks(dia), processor.attend(dia, processor(text=LONG), 1.0)
    with processor.steady(dia, inputs):
        first, second = (speech(processor, dia, inputs, 20, 1.0)[0] for _ in range(2))
        assert hooks(dia) != before
        with pytest.raises(ValueError, match="leave use_cache=True"):
            dia.generate(**inputs, guidance_scale=1.0, max_new_tokens=8, use_cache=False)
        with pytest.raises(ValueError, match="give both the same"):
            speech(processor, dia, processor.attend(dia, processor(text="een"), 1.0), 8, 1.0)
    assert torch.equal(first, second) and hooks(dia) == before
    with pytest.raises(KeyboardInterrupt), processor.steady(dia, inputs):
        raise KeyboardInterrupt
    assert hooks(dia) == before


def test_what_audio_prompts_say_must_be_said(reading_along):
    processor, dia, *_ = reading_along
    alone = processor(text=["acht en een", "negen en twee"])
    prompted = processor(text=["acht en een", "negen en twee"], audio=CLIPS, sampling_rate=8000)
    for inputs, said in ((alone, "acht"), (prompted, None), (prompted, ["acht"])):
        with pytest.raises(ValueError, match="one text for all of them or one for each"):
            processor.steady(dia, inputs, said).__enter__()
    with pytest.raises(ValueError, match="A text does not begin with what its audio prompt says"):
        processor.steady(dia, prompted, "acht").__enter__()


def test_attention_that_hides_nothing_from_single_heads_is_refused(reading_along, monkeypatch):
    processor, dia, *_ = reading_along
    monkeypatch.setattr(dia.get_decoder().config, "_attn_implementation", "flash_attention_2")
    with pytest.raises(ValueError, match="flash_attention_2 cannot .* attn_implementation='sdpa'"):
        processor.steady(dia, processor(text=LONG)).__enter__()


def test_steady_leaves_models_alone_of_which_no_head_reads_along(tiny):
    _, processor, dia = tiny
    before = hooks(dia)
    with processor.steady(dia, processor(text=TEXTS)):
        assert hooks(dia) == before


def test_the_place_is_followed_by_the_numbers_of_rosella():
    ours = reading.BACK, reading.AHEAD, reading.READERS, reading.STRIDE, reading.LEAST
    theirs = processing_rosella
    assert ours == (theirs.BACK, theirs.AHEAD, theirs.BELIEVED, theirs.STRIDE, theirs.LEAST)


@pytest.mark.slow
def test_the_mini_family(tmp_path):
    folder = shutil.copytree(mini.path("model"), tmp_path / "mini")
    complete(folder, DiaConfig.from_dict(json.loads((folder / "config.json").read_text())))
    processor, dia = opened(folder.rename(tmp_path / "moved"))
    texts = ["[S1] The old man finds a red apple.", "De hond vindt het groene boek."]
    inputs = processor(text=texts)
    with processor.steady(dia, inputs):
        waves = processor.batch_decode(dia.generate(**inputs, do_sample=False))
    spoken = load("mini").speak(texts, temperature=0.0, tries=1)
    for ours, theirs in zip(spoken, waves, strict=True):
        np.testing.assert_allclose(ours.waveform, theirs.numpy(), atol=ROUNDING)
        assert ours.stopped and len(ours.waveform) > 8000


def test_without_a_codec_it_reads_texts_and_says_what_it_lacks(tmp_path, codec, tiny):
    """The codec is not even looked for."""
    save_model(tmp_path / "ours", model(CONFIG), replace(CONFIG, codec="nowhere/at-hand"))
    convert(tmp_path / "ours", tmp_path / "plain", "transformers", with_codec=False)
    assert not (tmp_path / "plain" / "codec").exists()
    card = (tmp_path / "plain" / "README.md").read_text()
    assert "nowhere/at-hand" in card and "library_name: transformers" in card
    processor, dia = opened(tmp_path / "plain")
    _, whole, same = tiny
    inputs = processor(text=TEXTS)
    settings = {"do_sample": False, "guidance_scale": 3.0, "top_k": 8, "max_new_tokens": 8}
    made = dia.generate(**inputs, **settings)
    np.testing.assert_array_equal(made, same.generate(**whole(text=TEXTS), **settings))
    with pytest.raises(ValueError, match="This folder holds no codec"):
        processor.batch_decode(made)
    with pytest.raises(ValueError, match="This folder holds no codec"):
        processor(text=TEXTS[:1], audio=[np.zeros(800, np.float32)])
