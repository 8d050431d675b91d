"""Heads that read along keep their place: by hand, by a second account that keeps no cache, and by what is heard."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella import dialogue, speak
from rosella.evaluate.reading import read_back, reader
from rosella.evaluate.sentences import Sentence
from rosella.inference import alignment, layout, steady
from rosella.inference.generate import generate, prepared
from rosella.inference.layout import Prompt
from rosella.inference.reading import AHEAD, BACK, LEAST
from rosella.inference.settings import Blocks, Sampling
from rosella.inference.steady import Steady
from rosella.model.attention import Attention
from rosella.model.masking import Mask
from tiny_dia import CONFIG, READS, batch, model

GREEDY = Sampling(guidance=1.0, temperature=0.0)
CLIP = np.arange(15).reshape(5, 3) % 16


def test_a_text_begins_at_its_first_byte_or_at_the_last_that_a_prompt_says():
    likely = np.asarray(steady.start(np.array([0, 1, 4]), 6))
    np.testing.assert_array_equal(likely.argmax(1), [0, 0, 3])
    assert np.isneginf(likely).sum() == 3 * 5


def test_the_place_goes_on_where_heads_look_but_not_back_and_not_far():
    """From byte 1 to one that is two bytes on at most, or as likely as it is looked at."""
    look = np.full((1, 1, 6), LEAST, np.float32)
    look[0, 0, 0], look[0, 0, 3], look[0, 0, 5] = 0.9, 0.5, 0.9
    places = np.asarray(steady._gone_on(steady.start(np.array([2]), 6), jnp.asarray(look[0])))
    np.testing.assert_allclose(
        places[0, 1:4], np.log([2 * LEAST, 2 * LEAST, 0.5 + LEAST]) - np.log(0.5 + LEAST), atol=1e-4
    )
    assert np.isneginf(places[0, [0, 4, 5]]).all()


def read_whole(dia, ids, lengths, tokens, hidden):
    """Logits of whole sequences, a bias [B, T, S] on what the heads that read along see; and where these look [B, T, S]."""
    looks, layer, weights = [], iter(range(9)), prepared(dia)

    def read(attention, queries, keys, values, mask, known):
        at, shared = next(layer), queries.shape[1] // keys.shape[1]
        every = jnp.repeat(keys, shared, axis=1), jnp.repeat(values, shared, axis=1)
        scores = jnp.einsum("BNTH,BNSH->BNTS", queries, every[0]) + mask.additive(1, keys.shape[2])
        bound = np.array([(at, head) in READS.readers for head in range(queries.shape[1])])
        seen = jax.nn.softmax(scores + jnp.where(bound[:, None, None], hidden[:, None], 0.0), axis=-1)
        looks.extend(seen[:, head] for of, head in READS.readers[:3] if of == at)
        heard = jnp.einsum("BNTS,BNSH->BTNH", seen, every[1]).reshape(*tokens.shape[:2], -1)
        return heard @ attention.out.get_value().reshape(-1, heard.shape[-1]).T

    cache = dia.start(dia.encode(ids, lengths), len(ids), tokens.shape[1], weights)
    states, _ = dia.step(tokens, cache, weights, read=read)
    return dia.logits(states, weights), sum(looks) / len(looks)


def test_every_step_sees_what_is_near_the_place_that_the_steps_before_have_come_to():
    """A random model, with and without clips: counted again over whole sequences, byte by byte."""
    dia, (ids, lengths, _) = model(READS), batch(READS, width=48)
    prompts = [Prompt(CLIP[:0], 0), Prompt(CLIP, 1), Prompt(CLIP[:3], 20)]
    said = [max(prompt.said - 1, 0) for prompt in prompts]
    made = generate(dia, ids, lengths, max_frames=16, prompts=prompts, sampling=GREEDY)
    begun = [CONFIG.delayed(prompt.codes, end=False)[: len(prompt.codes) + 1] for prompt in prompts]
    sequences = [np.concatenate(pair) for pair in zip(begun, made.tokens, strict=True)]
    tokens = np.stack([np.pad(each, ((0, 6), (0, 0)))[:22] for each in sequences])
    whole, hidden = jax.jit(partial(read_whole, dia, ids, lengths, tokens)), np.zeros((3, 22, 48), np.float32)
    for row, prompt in enumerate(prompts):
        scores = np.where(np.arange(48) == said[row], 0.0, -np.inf)
        for step in range(16):
            at, place = len(prompt.codes) + step, scores.argmax()
            hidden[row, at] = np.where(np.abs(np.arange(48) - place - 3) <= 9, 0.0, -1e30)
            logits, looks = whole(hidden)
            came = np.max([np.pad(scores, (by, 0), constant_values=-np.inf)[:48] for by in range(3)], axis=0)
            scores = came + np.log(np.asarray(looks)[row, at] + LEAST)
            best = np.asarray(logits)[
                row, at, 0, :16
            ].argmax()  # of the first codebook, which no delay dictates
            assert made.tokens[row, step, 0] in (best, *range(16, 20))
    assert (BACK, AHEAD) == (6, 12)
    assert len(set(np.concatenate([codes[:, 0] for codes in made.codes]).tolist())) > 3


def test_blocks_of_one_step_keep_the_place_that_single_steps_keep():
    dia, (ids, lengths, _) = model(READS), batch(READS, width=48)
    one, many = (
        generate(dia, ids, lengths, max_frames=20, sampling=replace(GREEDY, blocks=blocks)).tokens
        for blocks in (None, Blocks(1, 1))
    )
    np.testing.assert_array_equal(many, one)
    free = generate(dia, ids, lengths, max_frames=20, sampling=replace(GREEDY, steady=False)).tokens
    assert not np.array_equal(one, free)


def test_a_row_does_not_depend_on_how_far_its_text_is_padded(monkeypatch):
    """Nor see the key that stands behind it for the padding, which the other heads see."""
    dia = model(replace(READS, cross_attention_padding="attend", trained_text_length=64))
    ids, lengths = dialogue.pad_batch([np.arange(40, 80)])
    made = []
    for width in (41, 64):
        monkeypatch.setattr(layout, "text_width", lambda count, most, width=width: width)
        prompt = Prompt(CLIP, 36)
        made.append(generate(dia, ids, lengths, max_frames=20, prompts=[prompt], sampling=GREEDY).tokens)
    np.testing.assert_array_equal(*made)


def test_a_block_may_be_read_as_far_on_as_it_is_long():
    """Of heads that read along; the others see everything."""
    width, config = 60, replace(CONFIG, readers=((0, 1),))
    keys = jnp.zeros((1, 2, width, 4))
    asked, seen = jnp.zeros((1, 4, 5, 4)), []

    class Noticing:
        output = staticmethod(lambda queries, keys, values, mask, known: seen.append(mask.additive(5, width)))

    read: Attention = Noticing()
    Steady(config, steady.start(np.array([21]), width))(read, asked, keys, keys, Mask(), None)
    (bias,) = seen
    visible = [np.flatnonzero(np.asarray(bias)[0, head, 0] == 0) for head in range(4)]
    assert (visible[1][0], visible[1][-1]) == (20 - BACK, 20 + AHEAD + 4)
    assert all(len(visible[head]) == width for head in (0, 2, 3))


def test_heads_that_look_at_what_is_said_are_found_and_the_best_come_first():
    shares = np.array([[0.1, 0.75], [0.98, 0.69]])
    assert alignment.readers(shares) == ((1, 0), (0, 1))


def test_the_embedded_models_heads_are_those_that_its_config_names(tmp_path):
    """Read from speech that it makes itself; the weakest are near the bound."""
    speaker = speak.load()
    texts = ["[S1] The old man finds a red apple.", "[S1] De hond vindt het groene boek in de tuin."]
    said = [
        (dialogue.encode(text), each.codes) for text, each in zip(texts, speaker.speak(texts), strict=True)
    ]
    shares = alignment.near_shares(speaker.model, said, speaker.weights)
    assert set(alignment.readers(shares)) ^ set(speaker.config.readers) <= {(1, 0), (3, 0), (4, 2), (1, 1)}
    assert set(speaker.config.readers[:4]) == {(2, 1), (2, 2), (3, 1), (3, 2)}


def words_wrong(speaker, texts: list[str]) -> float:
    waves = [each.waveform for each in speaker.speak(texts, tries=1, max_seconds=9)]
    return read_back(reader("mini"), [Sentence("", text, Path(), language="en") for text in texts], waves).wer


@pytest.mark.slow
def test_who_says_the_same_words_again_does_not_lose_the_place():
    """Sentences that begin alike: where all of the text is seen, they are said in another order, or twice."""
    speaker, free = speak.load(), speak.load()
    free.model.config = replace(free.config, readers=())
    texts = [
        "[S1] The old man needs the broken clock. The old man sells the yellow flower. The old man finds the green book.",
        "[S1] My father hides seven lemons. My father hides the golden ring. My father hides a wooden chair.",
    ] * 2
    assert words_wrong(speaker, texts) < 0.3 < 0.5 < words_wrong(free, texts)
