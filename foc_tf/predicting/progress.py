"""How far a long work is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from typing import TextIO

_BAR_CELLS = 24
_REDRAW_SECONDS, _LINE_SECONDS = 0.25, 30.0


class Progress:
    """Writes images done, images a second and the time left; call it with the number done.

    Args:
      total: images in all.
      done: those that an earlier run has done; they do not count for the rate.
      stream: text file to write to.
      clock: function that gives seconds.
    """

    def __init__(
        self, total: int, done: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """See the class."""
        self._total, self._first, self._done = total, done, done
        self._stream, self._clock = stream, clock
        self._terminal = stream.isatty()
        self._begin = self._shown = clock()
        self._width = 0

    def __call__(self, done: int) -> None:
        """Says that `done` images are done; writes if it is time to."""
        self._done, now = done, self._clock()
        if now - self._shown >= (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS):
            self._shown = now
            self._write(self._text(now))

    def close(self) -> None:
        """Writes the last state and ends the bar's line."""
        self._write(self._text(self._clock()))
        if self._terminal:
            self._stream.write("\n")
            self._stream.flush()

    def _text(self, now):
        spent, left = now - self._begin, self._total - self._done
        rate = (self._done - self._first) / spent if spent > 0 else 0.0
        text = f"{self._done:,} of {self._total:,} images"
        if rate:
            text += f", {rate:,.1f} a second"
            text += f", {duration(left / rate)} left" if left else f", took {duration(spent)}"
        return text

    def _write(self, text):
        if self._terminal:
            cells = _BAR_CELLS * self._done // max(1, self._total)
            text = f"\r[{'#' * cells}{'.' * (_BAR_CELLS - cells)}] {text}"
            # What a longer line left behind it is blanked.
            padded, self._width = text.ljust(self._width), len(text)
            self._stream.write(padded)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min 5 s, 3 h 20 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
