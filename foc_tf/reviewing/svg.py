"""Drawings as inline SVG: real text, a title and a description, colours by the page's style."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from foc_tf.reviewing.markup import Html, element, joined

# Hues of the first classes, far apart also for most who see few colours; then the golden angle.
_HUES = (212, 28, 140, 350, 270, 50, 190, 320, 95, 8)
NO_COLOUR = "0 0%"


def colour(index: int) -> str:
    """Hue and saturation of class or cluster `index`, -1 grey; lightness is the page's."""
    if index < 0:
        return NO_COLOUR
    hue = _HUES[index] if index < len(_HUES) else (index * 137.508) % 360
    return f"{hue:.0f} {(70, 55, 85)[index // len(_HUES) % 3]}%"


def drawing(
    anchor: str,
    width: float,
    height: float,
    title: str,
    description: str,
    *parts: Any,
    role: str = "img",
) -> Html:
    """An <svg> that scales to the page's width.

    Args:
      anchor: unique in the page.
      width: of its own coordinates.
      height: likewise.
      title: its name for who does not see it.
      description: what it shows, in a sentence with numbers.
      *parts: elements.
      role: "group" if it has links inside.
    """
    return element(
        "svg",
        element("title", title, id=f"{anchor}-name"),
        element("desc", description, id=f"{anchor}-says"),
        *parts,
        viewBox=f"0 0 {width} {height}",
        role=role,
        aria_labelledby=f"{anchor}-name",
        aria_describedby=f"{anchor}-says",
        style=f"max-width:{width}px",
    )


def isolated(name: str) -> Html:
    """A name for SVG text, which knows no <bdi>: between marks that isolate it."""
    return joined([Html("\u2068"), name, Html("\u2069")])


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Function from low .. high to start .. end, linear."""
    span = (high - low) or 1
    return lambda value: round(start + (value - low) / span * (end - start), 1)


def ticks(high: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at most `high`, about so many."""
    raw = high / about if high > 0 else 1
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw * 0.999)
    return [round(step * i, 10) for i in range(int(high / step + 1e-9) + 1)]


def text(x: float, y: float, content: Any, anchor: str = "middle", **attributes: Any) -> Html:
    """Text at a point."""
    return element("text", content, x=x, y=y, text_anchor=anchor, **attributes)


def axes(
    box: tuple[float, float, float, float],
    x: Callable[[float], float],
    y: Callable[[float], float],
    x_ticks: Iterable[float],
    y_ticks: Iterable[float],
    labels: tuple[str, str],
) -> list[Html]:
    """Two axes with a grid.

    Args:
      box: (left, top, right, bottom).
      x: scale of the horizontal axis.
      y: of the vertical one.
      x_ticks: values with a number.
      y_ticks: likewise.
      labels: (of x, of y).
    """
    left, top, right, bottom = box
    grid = [f"M{left} {y(v)}H{right}" for v in y_ticks]
    parts = [element("path", d="".join(grid), class_="grid")]
    parts.append(element("path", d=f"M{left} {top}V{bottom}H{right}", class_="axis"))
    parts += [text(x(v), bottom + 16, f"{v:g}") for v in x_ticks]
    parts += [text(left - 6, y(v) + 4, f"{v:g}", "end") for v in y_ticks]
    middle = (top + bottom) / 2
    parts.append(text((left + right) / 2, bottom + 34, labels[0], class_="label"))
    turned = f"rotate(-90 {left - 38} {middle})"
    parts.append(text(left - 38, middle, labels[1], class_="label", transform=turned))
    return parts
