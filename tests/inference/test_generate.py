from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from rosella import delay, dialogue
from rosella.errors import UserError
from rosella.inference import generate as module
from rosella.inference import sampling
from rosella.inference.generate import Running, generate, prepared
from rosella.inference.layout import Prompt
from rosella.inference.settings import Sampling
from rosella.model.transformer import Dia
from tiny_dia import ATTEND, CONFIG, batch, model

SPECIAL = (CONFIG.decoder.bos_token_id, CONFIG.decoder.eos_token_id, CONFIG.decoder.pad_token_id)
GREEDY = {"sampling": Sampling(guidance=1.0, temperature=0.0)}
SPOKEN = ["[S1] ja", "[S2] nee, eh nee", "[S1] (laughs) [S2] wat?", "[S3] dank u wel"]


@pytest.fixture(scope="module")
def overfitted():
    """A model that knows four utterances by heart: the model, text ids, lengths, and their codes."""
    random = np.random.default_rng(0)
    codes = [random.integers(0, SPECIAL[1], (frames, 3)) for frames in (4, 9, 1, 7)]
    ids, lengths = dialogue.pad_batch([dialogue.encode(each) for each in SPOKEN])
    sequences = [delay.apply(each, CONFIG.delay_pattern, *SPECIAL) for each in codes]
    tokens = _padded(sequences)
    wide = replace(CONFIG.decoder, hidden_size=48, intermediate_size=96, initializer_range=0.08)
    encoder = replace(CONFIG.encoder, initializer_range=0.08)
    graph, weights = nnx.split(Dia(replace(CONFIG, decoder=wide, encoder=encoder), nnx.Rngs(0)))
    weights, logits = _train(graph, weights, ids, lengths, tokens)
    counted = delay.learnable(tokens[:, 1:], SPECIAL[0], SPECIAL[2])
    np.testing.assert_array_equal(np.argmax(logits, -1)[counted], tokens[:, 1:][counted])
    return nnx.merge(graph, weights), ids, lengths, codes


def behind(prompts):
    return [Prompt(codes, 0) for codes in prompts]


def _padded(sequences):
    longest = max(map(len, sequences))
    pads = [((0, longest - len(each)), (0, 0)) for each in sequences]
    return np.stack(
        [np.pad(s, pad, constant_values=SPECIAL[2]) for s, pad in zip(sequences, pads, strict=True)]
    )


def _train(graph, weights, ids, lengths, tokens):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    counted = delay.learnable(targets, SPECIAL[0], SPECIAL[2])
    optimizer = optax.adam(3e-3)

    def loss(weights):
        logits = nnx.merge(graph, weights)(ids, lengths, inputs)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return jnp.where(counted, losses, 0).sum() / counted.sum(), logits

    @jax.jit
    def many(weights):
        def step(carry, _):
            weights, state = carry
            (_, logits), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(weights, updates), state), logits[:0]

        (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), length=250)
        return weights, loss(weights)[1]

    return many(weights)


def test_greedy_decoding_reproduces_what_was_learnt(overfitted):
    """Without a prompt and after prompts of unequal lengths, to the last frame, in one batch."""
    dia, ids, lengths, codes = overfitted
    prompts = [each[:0] for each in codes] + [codes[0][:2], codes[1][:6], codes[2][:1], codes[3][:3]]
    made = generate(
        dia, np.tile(ids, (2, 1)), np.tile(lengths, 2), max_frames=30, prompts=behind(prompts), **GREEDY
    )
    assert made.stopped.all()
    for result, prompt, whole in zip(made.codes, prompts, codes * 2, strict=True):
        assert result.dtype == np.uint16
        np.testing.assert_array_equal(result, whole[len(prompt) :])


def test_the_loop_ends_with_its_last_row(overfitted):
    dia, ids, lengths, codes = overfitted
    running = Running(dia, np.tile(ids, (2, 1)), np.tile(lengths, 2), 90, **GREEDY)
    running.advance()
    assert running.finished
    assert running.step == max(map(len, codes)) + max(CONFIG.delay_pattern)


@pytest.mark.parametrize("config", [CONFIG, ATTEND])
def test_greedy_choices_are_those_of_the_teacher_forced_model(config):
    """A random model, prompts of unequal lengths: each id generated is the best one given all before it."""
    dia, (ids, lengths, _) = model(config), batch(config)
    prompts = [np.random.default_rng(n).integers(0, SPECIAL[1], (n, 3)) for n in (0, 3, 5)]
    made = generate(dia, ids, lengths, max_frames=6, prompts=behind(prompts), **GREEDY)
    whole = [np.concatenate(pair) for pair in zip(prompts, made.codes, strict=True)]
    sequences = _padded([delay.apply(codes, config.delay_pattern, *SPECIAL) for codes in whole])
    forced = jax.jit(lambda *inputs: sampling.filter_end(dia(*inputs), SPECIAL[1]).argmax(-1))
    for row, best in enumerate(np.asarray(forced(ids, lengths, sequences[:, :-1]))):
        sequence = np.concatenate([sequences[row, :1], best])
        again, _ = delay.undo(sequence, config.delay_pattern, SPECIAL[1] + 1)
        np.testing.assert_array_equal(again[len(prompts[row]) : len(whole[row])], made.codes[row])


def test_a_row_depends_on_its_own_seed_alone():
    dia, (ids, lengths, _) = model(), batch()
    prompts = behind([np.full((n, 3), 7) for n in (0, 3, 5)])
    seeds = [11, 2**40 + 3, 11]
    made = generate(dia, ids, lengths, max_frames=12, prompts=prompts, seeds=seeds)
    assert [len(codes) for codes in made.codes] == [12, 12, 12]
    assert not made.stopped.any()
    order = [2, 0, 1]
    shuffled = generate(
        dia,
        np.pad(ids[order], ((0, 0), (0, 5))),
        lengths[order],
        max_frames=12,
        prompts=[prompts[i] for i in order],
        seeds=[seeds[i] for i in order],
    )
    for at, row in enumerate(order):
        np.testing.assert_array_equal(shuffled.codes[at], made.codes[row])
    other = generate(dia, ids, lengths, max_frames=12, prompts=prompts, seeds=[11, 4, 12])
    changed = [not np.array_equal(a, b) for a, b in zip(made.codes, other.codes, strict=True)]
    assert changed == [False, True, True]


def test_other_lengths_and_settings_do_not_compile_again():
    dia, (ids, lengths, _) = model(), batch()
    prompts = behind([np.full((n, 3), 7) for n in (0, 3, 5)])
    generate(dia, ids, lengths, max_frames=12, prompts=prompts)
    before = [each._cache_size() for each in module._programs()]
    made = generate(
        dia,
        ids[:, :9],
        np.minimum(lengths, 9),
        max_frames=5,
        prompts=prompts[::-1],
        sampling=Sampling(guidance=2.0, temperature=1.3, top_p=0.8),
    )
    assert [each._cache_size() for each in module._programs()] == before
    assert [len(codes) for codes in made.codes] == [5, 5, 5]


@pytest.mark.parametrize("config", [CONFIG, ATTEND])
def test_rows_without_a_text_are_those_of_zeros_of_any_length(config):
    """What cached steps make of the rows beyond the texts', whose cross-attention is never computed."""
    dia, (ids, lengths, tokens) = model(config), batch(config)

    @jax.jit
    def both(ids, lengths, tokens):
        weights, rows = dia.decoding_weights(), len(ids)
        cache = dia.start(dia.encode(ids, lengths), 2 * rows, tokens.shape[1], weights)
        assert len(cache.text_keys[0]) == rows
        made, _ = dia.step(jnp.concatenate([tokens, tokens]), cache, weights)
        zeros = dia(0 * ids, lengths, tokens)
        return dia.logits(made, weights), jnp.concatenate([dia(ids, lengths, tokens), zeros])

    np.testing.assert_allclose(*both(ids, lengths, tokens), atol=1e-4)


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ({"max_frames": 0}, "room for 1 to 124"),
        ({"max_frames": 125}, "room for 1 to 124"),
        ({"prompts": behind([np.zeros((120, 3), int)] * 3)}, "room for 1 to 4 after 120"),
    ],
)
def test_more_than_the_model_holds_is_refused(setting, part):
    dia, (ids, lengths, _) = model(), batch()
    with pytest.raises(UserError, match=part):
        generate(dia, ids, lengths, **{"max_frames": 5, **setting})


def test_text_longer_than_the_encoder_is_refused():
    with pytest.raises(UserError, match="65 bytes .* at most 64"):
        generate(model(), np.ones((1, 65), np.int32), np.array([65]), max_frames=5)


def test_a_few_steps_at_a_time_are_those_of_a_whole_generation():
    """Each row to its own limit; of every row just the frames that are whole are known on the way."""
    dia, (ids, lengths, _) = model(), batch()
    prompts, limits, seeds = behind([np.full((n, 3), 7) for n in (0, 3, 5)]), [6, 2, 9], [5, 6, 7]
    whole = generate(dia, ids, lengths, max_frames=limits, prompts=prompts, seeds=seeds)
    assert [len(codes) for codes in whole.codes] == limits
    alone = generate(dia, ids[1:2], lengths[1:2], max_frames=2, prompts=prompts[1:2], seeds=[6])
    np.testing.assert_array_equal(alone.codes[0], whole.codes[1])
    running, known = Running(dia, ids, lengths, limits, prompts, seeds=seeds, weights=prepared(dia)), []
    while not running.finished:
        running.advance(2)
        known.append(running.so_far().codes)
    delay_of_all = max(CONFIG.delay_pattern)
    for at, codes in enumerate(known, 1):
        for part, row, limit in zip(codes, whole.codes, limits, strict=True):
            assert len(part) == min(max(2 * at - delay_of_all, 0), limit)
            np.testing.assert_array_equal(part, row[: len(part)])
    made = running.so_far()
    np.testing.assert_array_equal(made.tokens, whole.tokens)
    np.testing.assert_array_equal(made.stopped, whole.stopped)
