"""What the command lines of all verbs have in common."""

from __future__ import annotations

import argparse


def verb_parser(verb: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser for `python -m data_prep VERB`; the epilog keeps its lines."""
    return argparse.ArgumentParser(
        f"python -m data_prep {verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
