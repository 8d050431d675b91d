"""Our logits against Transformers', on tiny random weights and padded batches."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import nnx

from rosella import delay
from rosella.convert.checkpoint import load_model, save_model
from rosella.inference.generate import generate
from tiny_dia import CONFIG, batch, model

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Our model and Transformers' reading of the directory that we wrote."""
    from transformers import DiaForConditionalGeneration

    directory = tmp_path_factory.mktemp("ours")
    save_model(directory, model(), CONFIG)
    theirs, report = DiaForConditionalGeneration.from_pretrained(directory, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    return model(), theirs.eval()


def their_logits(theirs, ids, mask, tokens):
    import torch

    with torch.no_grad():
        out = theirs(
            torch.tensor(ids), attention_mask=torch.tensor(mask), decoder_input_ids=torch.tensor(tokens)
        )
    channels = tokens.shape[2]
    return out.logits.reshape(len(ids), channels, tokens.shape[1], -1).transpose(1, 2).numpy()


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def test_padded_batch(pair):
    ids, lengths, tokens = batch()
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    theirs = their_logits(pair[1], ids, mask, tokens.astype(np.int64))
    assert relative(np.asarray(pair[0](ids, lengths, tokens)), theirs) < 1e-5
    assert theirs.std() > 0.5


def test_dropped_text_keeps_its_length(pair):
    ids, lengths, tokens = batch()
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    theirs = their_logits(pair[1], 0 * ids, mask, tokens.astype(np.int64))
    assert relative(np.asarray(pair[0](0 * ids, lengths, tokens)), theirs) < 1e-5


def test_their_directory_loads_here(pair, tmp_path):
    pair[1].save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded, config = load_model(tmp_path)
    assert config.decoder == CONFIG.decoder
    for ours, wanted in zip(
        jax.tree.leaves(nnx.state(loaded)), jax.tree.leaves(nnx.state(pair[0])), strict=True
    ):
        np.testing.assert_array_equal(ours, wanted)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_generation(pair, guidance):
    """The same ids, with padded text and the end rules of the delay pattern; no prompt."""
    import torch

    ids, lengths, _ = batch()
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    decoder, delays = CONFIG.decoder, CONFIG.delay_pattern
    nothing = np.zeros((0, len(delays)), np.int64)
    begin = delay.apply(nothing, delays, decoder.bos_token_id, None, decoder.pad_token_id)
    begin = np.tile(begin, (len(ids), 1, 1)).astype(np.int64)
    steps = 20
    theirs = (
        pair[1]
        .generate(
            torch.tensor(ids).long(),
            attention_mask=torch.tensor(mask),
            decoder_input_ids=torch.tensor(begin),
            decoder_attention_mask=torch.ones(begin.shape[:2], dtype=torch.long),
            do_sample=False,
            guidance_scale=guidance,
            top_k=6,
            max_new_tokens=steps,
        )
        .numpy()
    )
    frames = steps - max(delays) - 1
    settings = {"guidance": guidance, "temperature": 0.0, "top_k": 6}
    ours = generate(pair[0], ids, lengths, max_frames=frames, **settings)
    for row, codes in enumerate(ours.codes):
        wanted, _ = delay.undo(theirs[row], delays, decoder.eos_token_id)
        np.testing.assert_array_equal(codes, wanted)
    assert all(len(codes) for codes in ours.codes)
