"""The one exception that means "the user gave something wrong"."""

from __future__ import annotations

import sys
from collections.abc import Callable


class InputError(ValueError):
    """Bad input from a user: a file, a row, a flag.

    The message says what was got, where (file, row, column), what is allowed and what to do.
    Programs print it on one line and exit with status 2; library callers see a `ValueError`.
    """


def run_program(main: Callable[[], int | None]) -> None:
    """Runs a program's `main` and exits: 0 done, 2 bad input, 1 the disk failed, 130 interrupted.

    The last three print one line on stderr (`error: …`).
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
