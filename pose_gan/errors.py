"""The exception that means "the user gave something wrong", and how programs report it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class InputError(ValueError):
    """Bad input from a user: a file, a row, a flag.

    The message names the bad input and its place (file, row, column), and says what is allowed and what to do.
    Programs print the message on one line and exit with status 2; library callers see a `ValueError`.
    """


def reason(error: BaseException) -> str:
    """The text of an error on one line of at most 300 characters, or its kind if it has no text."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def run_program(main: Callable[[], int | None]) -> None:
    """Runs a program's `main` and exits: 0 success, 2 bad input, 1 disk error, 130 interrupted.

    In the last three cases, one line is printed on stderr (`error: …`).
    """
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
