"""The exception that means "the user gave something wrong", and how programs report it."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from typing import Any


class InputError(ValueError):
    """Bad input from a user: a file, a row, a flag.

    The message names the bad input and its place (file, row, column), and says what is allowed and what to do.
    Programs print the message on one line and exit with status 2; library callers see a `ValueError`.
    """


class InputWarning(UserWarning):
    """What was done with a user's input that the user may not expect. Programs print it on one line, once."""


def reason(error: BaseException) -> str:
    """The text of an error on one line of at most 300 characters, or its kind if it has no text."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def run_program(main: Callable[[], int | None]) -> None:
    """Runs a program's `main` and exits: 0 success, 2 bad input, 1 disk error, 130 interrupted.

    In the last three cases, one line is printed on stderr (`error: …`). An `InputWarning` is one line too (`note: …`).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file of Windows' code page has no arrows
        sys.stdout.reconfigure(errors="replace")
    other = warnings.formatwarning

    def format_warning(message: Warning | str, category: type[Warning], *place: Any) -> str:
        return f"note: {message}\n" if issubclass(category, InputWarning) else other(message, category, *place)

    warnings.formatwarning = format_warning
    try:
        sys.exit(main() or 0)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output (`| head`) went away
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a full disk, a file system that went away
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
