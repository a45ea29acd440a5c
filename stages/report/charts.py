"""Draws curves and histograms as SVG; equal numbers give equal bytes."""

import html
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.extras import require

Floats = NDArray[np.float64]

_INK = "#1c2733"
_COLOURS = {
    "real": "#3b7d3a",
    "training": "#3b7d3a",
    "mixup": "#b5651d",
    "minimised": "#7a5ea8",
    "final": "#1f6fb2",
    "copies": "#8fbf8d",
}
_MOST_NAMES = 12  # that an axis can hold
_MANY = ("#1f6fb2", "#7a5ea8", "#c23b5a", "#d9a521", "#4aa3a2", "#7d7d7d", "#0b3c5d", "#d98e4a",
         "#9a6324", "#808000", "#000075", "#444444")  # fmt: skip
_MOST_TOGETHER, _IN_A_ROW = 4, 3  # curves with bands in one panel; panels
_BANDS = ("#0b3c5d", "#1f6fb2", "#4d9de0", "#b5651d", "#d98e4a", "#7d7d7d", "#444444")


def training_curves(lines: list[dict[str, Any]]) -> str:
    """Loss on held-out images (or training ones) per noise band against steps."""
    which = "held_out" if lines[-1]["bands"].get("held_out") else "train"
    steps = [line["step"] for line in lines]
    figure, axes = _axes("Denoising loss per band of sigma, " + which.replace("_", "-"))
    for colour, band in zip(_BANDS, lines[-1]["bands"][which], strict=False):
        values = [line["bands"][which][band] for line in lines]
        axes.plot(steps, values, color=colour, label=f"sigma {band}", linewidth=1.8)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (1: predicts nothing)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return _svg(figure)


def norm_histograms(norms: dict[str, Floats]) -> str:
    """Distributions of the score norms of training, mixup, minimised and final images."""
    figure, axes = _axes("Score norm of images with lambda >= .1")
    everything = np.concatenate(list(norms.values()))
    low, high = np.quantile(everything[everything > 0], [0.002, 0.998])
    edges = np.geomspace(low, max(high, low * 1.01), 41)
    for name, values in norms.items():
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        axes.stairs(
            counts / max(counts.sum(), 1),
            edges,
            label=f"{name} ({len(values):,})",
            color=_COLOURS.get(name, _INK),
            linewidth=1.8,
            fill=name == "training",
            alpha=0.35 if name == "training" else 1.0,
        )
    _log_scale(axes, low, high)
    axes.set_xlabel("‖σ_N S‖² / D")
    axes.set_ylabel("share of images")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def band_bars(
    bands: list[dict[str, Any]],
    steps: Sequence[str],
    real: float | None,
    name: str,
    factor: float = 1,
) -> str:
    """The distance `name` of each step, times `factor`, by band of folded lambda.

    real: the same distance of training images as a sample of their kind; None: no line for it.
    """
    times = f" × {factor:g}" if factor != 1 else ""
    figure, axes = _axes(f"{name}{times} by band of lambda (lower is better)")
    for offset, step in enumerate(steps):
        values = [band[step].get(name) for band in bands]
        places = np.arange(len(bands)) + (offset - (len(steps) - 1) / 2) * 0.21
        heights = [np.nan if value is None else factor * value for value in values]
        axes.bar(places, heights, 0.19, label=step, color=_COLOURS[step])
    if real is not None:
        axes.axhline(
            factor * real, color=_COLOURS["real"], linestyle="--", label="real, as a sample"
        )
    axes.margins(y=0.3)  # room for the legend
    axes.set_xticks(range(len(bands)), [f"{band['lambda']}\n{band['n']} images" for band in bands])
    axes.legend(frameon=False, fontsize=8, ncols=5, loc="upper left")
    return _svg(figure)


def spectrum(steps: Mapping[str, Mapping[str, Any]]) -> str:
    """Power at each frequency as a share of held-out images'.

    steps: name -> share (F,) and interval_95 (F, 2), from one cycle per image side on; None where
    a frequency has no power.
    """
    figure, axes = _axes("Power spectrum against held-out images (1: as real ones)")
    for colour, (name, found) in zip((_COLOURS["mixup"], _COLOURS["final"]), steps.items(),
                                     strict=False):  # fmt: skip
        shares = np.array([np.nan if x is None else x for x in found["share"]], dtype=float)
        ends = [(np.nan, np.nan) if ends is None else ends for ends in found["interval_95"]]
        low, high = np.array(ends, dtype=float).T
        cycles = np.arange(1, len(shares) + 1)
        axes.plot(cycles, shares, color=colour, label=name, linewidth=1.8, marker="o", markersize=3)
        axes.fill_between(cycles, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(1.0, color=_COLOURS["real"], linestyle="--", label="held-out images")
    axes.set_yscale("log")
    _plain_numbers(axes)
    axes.set_xlabel("cycles per image side (right: the finest detail)")
    axes.set_ylabel("share of real images' power")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def ratio_curves(
    entries: list[dict[str, Any]], steps: Sequence[str], name: str, factor: float = 1
) -> str:
    """The distance `name` of the whole corpus, times `factor`, at each ratio.

    Bands: the 95 % interval of the difference to the real images alone, where it is known of this
    distance.
    """
    times = f" × {factor:g}" if factor != 1 else ""
    which = ", without mixup" if "mixup" in entries[0] and "mixup" not in steps else ""
    figure, axes = _axes(f"{name}{times} of the whole corpus by ratio{which} (lower is better)")
    ratios = [entry["ratio"] for entry in entries]
    for step in (step for step in steps if step in entries[0]):
        values = [factor * entry[step][name] for entry in entries]
        axes.plot(ratios, values, "o-", color=_COLOURS[step], label=step, markersize=4)
        ends = [_ends(entry, step, name) for entry in entries]
        if None not in ends:
            low, high = (factor * np.array(each) for each in zip(*filter(None, ends), strict=True))
            axes.fill_between(ratios, low, high, color=_COLOURS[step], alpha=0.15, linewidth=0)
    real = factor * entries[0]["mixup"][name]
    axes.axhline(real, color=_COLOURS["real"], linestyle="--", label="real images alone")
    axes.set_xlabel("augmented images per real one")
    axes.set_xticks(ratios if len(ratios) <= 12 else ratios[:: -(-len(ratios) // 12)])
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _ends(entry: dict[str, Any], step: str, name: str) -> tuple[float, float] | None:
    """The distance of the real images alone plus the interval of what this ratio changes."""
    found = entry.get("less_real_images", {}).get(step)
    if found is None or not name.startswith("k"):
        return None
    alone = entry[step][name] - found["difference"]
    low, high = found["interval_95_other_training_images"]
    return alone + low, alone + high


def snapshot_curve(report: dict[str, Any]) -> str:
    """Kernel distances of snapshots with their standard errors, the best marked."""
    sets = [one for one in report["sets"] if one["kernel"] is not None]
    names = [one["name"] for one in sets]
    values = np.array([1000 * one["kernel"]["value"] for one in sets])
    errors = [1000 * one["kernel"]["standard_error"] for one in sets]
    figure, axes = _axes(f"{report['name']}: {report['kd']} × 1000 of snapshots (lower is better)")
    places = np.arange(len(sets))
    colour = _COLOURS["final"]
    axes.errorbar(places, values, errors, color=colour, marker="o", markersize=4, capsize=2)
    best = names.index(report["best"]["name"])
    axes.plot(best, values[best], "o", color=_COLOURS["real"], markersize=10, label="best")
    step = -(-len(sets) // _MOST_NAMES)
    axes.set_xticks(places[::step], names[::step], rotation=30, ha="right")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def band_curves(curves: Mapping[str, tuple[Floats, Floats]], title: str, along: str) -> str:
    """Curves with a band from the least to the greatest run.

    Of more than a few, each has a panel of its own, with "real", or the first one, beside it.
    curves: name -> places (n,) and values (runs, n), of which the mean is drawn.
    """
    if len(curves) > _MOST_TOGETHER:
        figure, panels = _panels(title, len(curves) - 1)
        first = "real" if "real" in curves else next(iter(curves))
        others = [name for name in curves if name != first]
        for axes, name in zip(panels, others, strict=False):
            _band(axes, first, curves[first], _COLOURS.get(first, _MANY[5]))
            _band(axes, name, curves[name], _COLOURS["final"])
            axes.set_title(name, fontsize=9, color=_INK)
        for place in range(len(others), len(panels)):
            panels[place].set_axis_off()
            panels[place - _IN_A_ROW].tick_params(labelbottom=True)
        figure.supxlabel(along, fontsize=9)
    else:
        figure, axes = _axes(title)
        panels = [axes]
        for colour, (name, curve) in zip(_MANY, curves.items(), strict=False):
            _band(axes, name, curve, _COLOURS.get(name, colour))
        axes.set_xlabel(along)
    if all((values > 0).all() for _, values in curves.values()):
        panels[0].set_yscale("log")
        _plain_numbers(panels[0])
    _thousands(panels[0], 3 if len(panels) > 1 else 6)
    panels[0].legend(frameon=False, fontsize=8)
    return _svg(figure)


def _band(axes: Any, name: str, curve: tuple[Floats, Floats], colour: str) -> None:
    places, values = curve
    axes.plot(places, values.mean(axis=0), color=colour, label=name, linewidth=1.8)
    low, high = values.min(axis=0), values.max(axis=0)
    axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def _styles() -> Iterator[tuple[str, str]]:
    """Lines and colours of curves, however many."""
    return itertools.cycle(itertools.product(("-", "--", ":", "-."), _MANY))


def roc_curves(far: Floats, curves: Mapping[str, Floats]) -> str:
    """TAR over FAR (n,), which is logarithmic. curves: name -> TAR (runs, n); mean and range."""
    figure, axes = _axes("Verification on classes never seen (higher is better)")
    for (line, colour), (name, values) in zip(_styles(), curves.items(), strict=False):
        colour = _COLOURS.get(name, colour)
        axes.plot(far, values.mean(axis=0), line, color=colour, label=name, linewidth=1.8)
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(far, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("FAR: impostor pairs accepted")
    axes.set_ylabel("TAR: genuine pairs accepted")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _log_scale(axes: Any, low: float, high: float) -> None:
    """A logarithmic x axis whose numbers are written out, some of them at any range."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    many = (1, 2, 5) if high < 300 * low else (1,)
    narrow = high < 6 * low
    axes.xaxis.set_major_locator(
        MaxNLocator(6, steps=(1, 2, 5)) if narrow else LogLocator(subs=many)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _plain_numbers(axes: Any) -> None:
    """A logarithmic y axis with numbers written out, and whole numbers on the x axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    low, high = axes.get_ylim()
    some = (1, 1.5, 2, 3, 5, 7) if high > 3 * low else (1, 1.5, 2, 2.5, *range(3, 10))
    steps = (1,) if high > 30 * low else some
    everywhere = (step * 10.0**power for power in range(-6, 7) for step in steps)
    ticks = [tick for tick in everywhere if low <= tick <= high]  # each takes time, seen or not
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _thousands(axes: Any, most: int) -> None:
    """A linear x axis with at most so many numbers, of which large ones have commas."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _axes(title: str) -> tuple[Any, Any]:
    figure = _figure(title, 3.6)
    axes = figure.add_subplot()
    _plain(axes)
    axes.set_title(title, fontsize=10, color=_INK, loc="left")
    return figure, axes


def _panels(title: str, count: int) -> tuple[Any, list[Any]]:
    """At least so many panels with the same axes, some in a row."""
    rows = -(-count // _IN_A_ROW)
    figure = _figure(title, 0.7 + 1.6 * rows)
    grid = figure.subplots(rows, _IN_A_ROW, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.ravel())
    for axes in panels:
        _plain(axes)
    figure.suptitle(title, fontsize=10, color=_INK, x=0.01, ha="left")
    return figure, panels


def _figure(title: str, height: float) -> Any:
    module = require("matplotlib.figure", "report", "The report")
    figure = module.Figure(figsize=(6.4, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    figure.set_label(title)
    return figure


def _plain(axes: Any) -> None:
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _svg(figure: Any) -> str:
    import matplotlib

    # One salt for all charts of a page would give two clip paths one name.
    salt = figure.get_label()
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text.replace("#000000", "currentColor").replace(_INK, "currentColor")
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(salt)}" ', 1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text[text.index("<svg") :], count=1)
