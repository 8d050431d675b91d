"""`inference.sampling` in PyTorch, filter by filter; hidden ids score minus infinity. Shapes are [..., C, V]."""

from __future__ import annotations

import torch
from torch import Tensor

from rosella.inference.settings import Filters, Numbers

_ALMOST_ONE = 1 - 2.0**-18


def choose(logits: Tensor, random: Tensor, numbers: Numbers, filters: Filters, eos: int) -> Tensor:
    """Ids int64 [B, C] from logits [B, C, V], or [2 B, C, V] (conditional, unconditional) when guided.

    `random` [B, C] are numbers from 0 to 1, one for each draw.
    """
    scores = logits
    if filters.guided:
        conditional, unconditional = logits.chunk(2)
        scores = guide(conditional, unconditional, numbers.guidance, filters.top_k)
    if filters.greedy:
        return filter_end(scores, eos).argmax(-1)
    scores = filter_end(scores / numbers.temperature, eos)
    if filters.top_k is not None and not filters.guided:  # guidance left no more
        scores = hide(scores, ~_best(scores, filters.top_k))
    if filters.top_p:
        scores = top_p(scores, numbers.top_p)
    return draw(scores, random)


def guide(conditional: Tensor, unconditional: Tensor, scale: Tensor | float, top_k: int | None) -> Tensor:
    """Classifier-free guidance: the `top_k` best ids by c + scale (c - u) are kept, scored by c; or all, by that itself."""
    guided = conditional + scale * (conditional - unconditional)
    return guided if top_k is None else hide(conditional, ~_best(guided, top_k))


def filter_end(scores: Tensor, eos: int) -> Tensor:
    """Only codebook 0 may end, and it ends exactly when that is its most likely id; ids above `eos` are never chosen."""
    ids = torch.arange(scores.shape[-1], device=scores.device)
    first = torch.arange(scores.shape[-2], device=scores.device)[:, None] == 0
    scores = hide(scores, ~((ids < eos) | (first & (ids == eos))))
    ends = scores.argmax(-1, keepdim=True) == eos
    return hide(scores, ends != (ids == eos))


def top_p(scores: Tensor, share: Tensor | float) -> Tensor:
    """Hides the least likely ids that together have at most 1 - share, but the best; of equals, the higher ids."""
    best_first, order = scores.sort(stable=True, descending=True, dim=-1)
    hidden = best_first.flip(-1).softmax(-1).cumsum(-1).flip(-1) <= 1.0 - share
    hidden[..., 0] = False
    return hide(scores, torch.empty_like(hidden).scatter_(-1, order, hidden))


def draw(scores: Tensor, random: Tensor) -> Tensor:
    """One id per codebook of scores [B, C, V]: each random number [B, C] looked up in the distribution function."""
    below = scores.softmax(-1).cumsum(-1)
    sought = random.clamp(max=_ALMOST_ONE)[..., None] * below[..., -1:]
    return ((below > sought) & (scores > -torch.inf)).int().argmax(-1)


def hide(scores: Tensor, hidden: Tensor) -> Tensor:
    return scores.masked_fill(hidden, -torch.inf)


def _best(scores: Tensor, count: int) -> Tensor:
    """A mask of exactly the `count` best ids; of equals, the lower ids."""
    count = min(count, scores.shape[-1])
    least = scores.topk(count).values[..., -1:]
    better, equal = scores > least, scores == least
    left = count - better.sum(-1, keepdim=True)
    return better | (equal & (equal.cumsum(-1) <= left))
