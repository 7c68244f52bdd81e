"""Small plots as SVG, the same bytes for the same numbers, readable on white and on black."""

import dataclasses
import io
import pathlib
from typing import Any

from foc_tf import files

COMMAND = "python -m foc_tf.benchmark --only=growth --plots=export/plots"
_COLOURS, _GREY = ("#1f83d6", "#d9720b"), "#7b7b7b"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "foc_tf",  # else the names of things inside are random
    "font.size": 9,
    "path.simplify": True,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _GREY
    ),
}


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
      label: in the legend.
      x: values.
      y: a number, or (low, middle, high), for each.
    """

    label: str
    x: tuple
    y: list


@dataclasses.dataclass(frozen=True)
class Plot:
    """One picture.

    Attributes:
      name: of the file, without ".svg".
      title: first line.
      note: second line, what was held fixed; the command is the third.
      x_label, y_label: of the axes, with units; both are logarithmic.
      lines: at most two `Line`s, measured first.
    """

    name: str
    title: str
    note: str
    x_label: str
    y_label: str
    lines: list


def check() -> None:
    """Raises ValueError if plots cannot be drawn here."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError(
            "plots: expected matplotlib, found none. Run: pip install foc_tf[bench]"
        ) from None


def write(plot: Plot, folder: pathlib.Path) -> None:
    """Writes `<folder>/<name>.svg`.

    Args:
      plot: `Plot`.
      folder: pathlib.Path.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.0, 3.9), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, plot)
        buffer = io.BytesIO()
        metadata = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    with files.replacing(folder / f"{plot.name}.svg") as file:
        file.write(buffer.getvalue())


def _draw(axes, plot):
    for line, colour, style in zip(plot.lines, _COLOURS, ("o-", "s--")):
        y = [each if isinstance(each, tuple) else (each,) * 3 for each in line.y]
        low, middle, high = zip(*y)
        axes.plot(line.x, middle, style, color=colour, label=line.label, markersize=4)
        axes.fill_between(line.x, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    # At least a decade, so that a few per cent do not look like a slope.
    axes.set_ylim(bottom=min(axes.get_ylim()[0], axes.get_ylim()[1] / 10))
    ticks = sorted({x for line in plot.lines for x in line.x})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.yaxis.set_major_locator(_locator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.set_title(f"{plot.title}\n{plot.note}\n{COMMAND}", fontsize=8, loc="left")
    axes.grid(color=_GREY, alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False)


def _locator():
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0, 2.0, 5.0))
