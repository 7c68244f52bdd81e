"""What all programs share: quiet TensorFlow, flags, exit codes, messages. Import it first."""

import os
import sys
from collections.abc import Callable, Sequence

# Before TensorFlow is imported: its CPU wheel reports missing GPU libraries as errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags, logging

from foc_tf import stopping

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class Failed(RuntimeError):
    """Ends a program with exit 1 and its message."""


def log(message: str) -> None:
    """One line to stderr."""
    print(message, file=sys.stderr, flush=True)


def parse(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> None:
    """Parses flags into `values`; ends the program with exit 2 on a wrong one, 0 after help."""
    if values is flags.FLAGS:
        app.define_help_flags()
    elif any(word.lstrip("-") in ("help", "helpfull", "helpshort", "?") for word in argv[1:]):
        print(f"{(sys.modules['__main__'].__doc__ or '').strip()}\n\nflags:\n{values.get_help()}")
        raise SystemExit(0)
    try:
        rest = values(argv)
    except flags.Error as error:
        log(f"error: {error}\nSee --help for the flags.")
        raise SystemExit(EXIT_USAGE) from None
    except FileNotFoundError as error:
        log(f"error: --flagfile: no such file: {error.filename}")
        raise SystemExit(EXIT_USAGE) from None
    except SystemExit:
        raise SystemExit(0) from None
    if rest[1:]:
        log(
            f"error: stray word {rest[1]!r} on the command line or in a flagfile; every line of a "
            "flagfile is --name=value, a comment on a line of its own starts with #."
        )
        raise SystemExit(EXIT_USAGE)


def run(
    main: Callable[[], object],
    values: flags.FlagValues = flags.FLAGS,
    interrupted: str = "nothing was left half written.",
) -> None:
    """Runs `main()`: ValueError -> exit 2, RuntimeError and OSError -> 1, Ctrl-C 130, SIGTERM 143.

    Args:
      main: function without arguments.
      values: the flags; a program whose names are its own has its own `flags.FlagValues`.
      interrupted: what Ctrl-C and SIGTERM tell the user.
    """
    parse(sys.argv, values)
    logging.set_verbosity(logging.WARNING)
    try:
        with stopping.raising():
            main()
    except ValueError as error:
        log(f"error: {error}")
        raise SystemExit(EXIT_USAGE) from None
    except RuntimeError as error:
        if type(error).__module__.split(".")[0] != "foc_tf":
            raise
        log(f"failed: {error}")
        raise SystemExit(EXIT_FAILED) from None
    except OSError as error:
        log(f"failed: {error}")
        raise SystemExit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        log(f"\nstopped; {interrupted}")
        raise SystemExit(EXIT_INTERRUPTED) from None
    except stopping.Terminated:
        log(f"\nterminated; {interrupted}")
        raise SystemExit(stopping.EXIT_TERMINATED) from None
