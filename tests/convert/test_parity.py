"""Our logits against Transformers', on tiny random weights and padded batches."""

from __future__ import annotations

import numpy as np
import pytest

from rosella.convert.checkpoint import load_model, save_model
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
    loaded, _ = load_model(tmp_path)
    ids, lengths, tokens = batch()
    np.testing.assert_array_equal(loaded(ids, lengths, tokens), pair[0](ids, lengths, tokens))
