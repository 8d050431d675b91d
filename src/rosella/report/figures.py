"""The report's plots as SVG text. Their ink is `currentColor`, so they follow the page in light and dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave, log_mel
from rosella.report.facts import Curve

INK = "#010203"  # replaced by currentColor in the SVG
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
}
TEAL = "#2a9d8f"


def histogram(values: Sequence[float], what: str, of: str) -> str:
    """How many `of` have which value of `what`."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.hist(values, bins=min(30, max(5, len(values) // 3)), color=TEAL, rwidth=0.92)
        axes.set(xlabel=what, ylabel=of)
        axes.set_xlim(**({"left": 0} if min(values) >= 0 else {"right": 0}))

    return _svg(draw, 6.0, 2.1)


def bars(values: Sequence[tuple[str, float]], what: str) -> str:
    """A horizontal bar for each name, the first on top."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        places = range(len(values))
        axes.barh(places, [value for _, value in values], color=TEAL, height=0.7)
        axes.set_yticks(places, [name for name, _ in values])
        axes.set_xlabel(what)
        axes.invert_yaxis()

    return _svg(draw, 6.0, 0.7 + 0.22 * len(values))


def loss_curves(train: Mapping[str, Curve], validation: Mapping[str, Curve]) -> str:
    """Cross-entropy per codebook, training as lines and validation as dots of the same colour."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        colours = _colours(len(train))
        for (name, (steps, values)), colour in zip(train.items(), colours, strict=True):
            axes.plot(steps, values, color=colour, linewidth=1.1, label=name)
            if name in validation:
                axes.plot(*validation[name], "o--", color=colour, markersize=3.5, linewidth=0.6)
        axes.set(xlabel="step", ylabel="loss (nats)")
        axes.legend(frameon=False, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5), title="codebook")

    return _svg(draw, 6.4, 3.0)


def curves(lines: Mapping[str, Curve], what: str, dotted: Sequence[str] = ()) -> str:
    """Values over the steps; those that are `dotted` were measured now and then."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for (name, curve), colour in zip(lines.items(), _colours(len(lines)), strict=True):
            style = (
                {"marker": "o", "markersize": 3.5, "linewidth": 0.8} if name in dotted else {"linewidth": 1.1}
            )
            axes.plot(*curve, color=colour, label=name, **style)
        axes.set(xlabel="step", ylabel=what)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return _svg(draw, 6.4, 2.4)


def panels(lines: Mapping[str, Curve], across: int = 3) -> str:
    """A small plot of its own for each, over the steps."""

    def draw(figure: Any) -> None:
        rows = -(-len(lines) // across)
        places = figure.subplots(rows, across, squeeze=False).flat
        for (name, (steps, values)), axes in zip(lines.items(), places, strict=False):
            few = {"marker": "o", "markersize": 2.5} if len(steps) <= 20 else {}
            axes.plot(steps, values, color=TEAL, linewidth=1.1, **few)
            axes.set_title(name, loc="left", fontsize=8.5, pad=3)
            axes.tick_params(labelsize=7)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
            axes.yaxis.get_offset_text().set_fontsize(7)
        for axes in places:
            axes.set_visible(False)

    return _svg(draw, 6.4, 1.45 * -(-len(lines) // across))


def spectrograms(clips: Sequence[tuple[str, Wave]]) -> str:
    """Mel spectrograms of 16 kHz clips one under the other, on one time axis."""

    def draw(figure: Any) -> None:
        longest = max(len(wave) for _, wave in clips) / SAMPLE_RATE
        rows = figure.subplots(len(clips), sharex=True, squeeze=False)[:, 0]
        for axes, (name, wave) in zip(rows, clips, strict=True):
            extent = (0, len(wave) / SAMPLE_RATE, 0, 40)
            axes.imshow(log_mel(wave).T, origin="lower", aspect="auto", cmap="magma", extent=extent)
            axes.set(xlim=(0, longest), yticks=[])
            axes.set_title(name, loc="left", fontsize=8.5, pad=2)
            axes.spines[:].set_visible(False)
        rows[-1].set_xlabel("seconds")

    return _svg(draw, 6.4, 1.05 * len(clips) + 0.3)


def _svg(draw: Any, width: float, height: float) -> str:
    """SVG text of a figure in inches; drawn on the figure's own canvas, so no global state is touched."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), facecolor="none")
        canvas = FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        canvas.print_svg(buffer, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")


def _colours(count: int) -> list[Any]:
    """From teal to rose, legible on white and on black."""
    import matplotlib

    return list(matplotlib.colormaps["turbo"](np.linspace(0.12, 0.9, max(count, 1))))
