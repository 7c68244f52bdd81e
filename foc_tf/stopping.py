"""Signals that end a program in order: SIGTERM, as schedulers send it, and Ctrl-C.

They raise where the program stands, so that temporary files go. Between `hold` and `release` they
are only noted: training asks between two steps and keeps the last one. A second signal does not
wait.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

EXIT_TERMINATED = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt it passes every `except Exception`."""


STOPS = (Terminated, KeyboardInterrupt)
_RAISES = {signal.SIGTERM: Terminated, signal.SIGINT: KeyboardInterrupt}


class _Handler:
    """Whether signals are held, and what came meanwhile."""

    def __init__(self):
        self.holds, self.came = False, None

    def __call__(self, number, frame):
        if not self.holds or self.came:
            raise _RAISES[number]
        self.came = _RAISES[number]


_handler = _Handler()


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Both signals raise one of `STOPS` in the block; without effect outside the main thread."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        # What a background job of a script was told to ignore it goes on ignoring.
        before = {n: h for n in _RAISES if (h := signal.getsignal(n)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, _handler)
    try:
        yield
    finally:
        _handler.holds, _handler.came = False, None
        for number, handler in before.items():
            signal.signal(number, handler)


def hold() -> None:
    """Signals are noted, not raised, until `release`."""
    _handler.holds = True


def asked() -> bool:
    """Whether a signal came since `hold`."""
    return _handler.came is not None


def release() -> None:
    """Signals raise again; at once, if one came since `hold`."""
    came, _handler.holds, _handler.came = _handler.came, False, None
    if came:
        raise came
