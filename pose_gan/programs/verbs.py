"""One command with many verbs. Each verb is a module with `build_parser()` and `main(argv)`."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from pose_gan.errors import InputError


@dataclass(frozen=True)
class Verbs:
    """The verbs of a command.

    Attributes:
        command: the command as users type it.
        description: the purpose of the command.
        package: the package of the verbs' modules; the verb `import-market` is the module `import_market`.
        about: verb → short description of its action.
        prefix: what the names of the modules have before the verb's.
    """

    command: str
    description: str
    package: str
    about: Mapping[str, str]
    prefix: str = ""

    def module(self, verb: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{self.prefix}{verb.replace('-', '_')}")

    def usage(self) -> str:
        """The text of `--help`."""
        width = max(map(len, self.about))
        verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in self.about.items())
        return (
            f"usage: {self.command} VERB [options]\n\n{self.description}\n\nverbs:\n{verbs}\n\n"
            f"{self.command} VERB --help lists the options of a verb."
        )

    def run(self, arguments: Sequence[str]) -> int:
        """Runs the verb `arguments[0]` with the other arguments, and returns its exit status.

        Raises: InputError: there is no such verb. Errors of the verb itself are passed on.
        """
        if not arguments or arguments[0] in ("-h", "--help"):
            print(self.usage(), file=sys.stdout if arguments else sys.stderr)
            return 0 if arguments else 2
        verb, *rest = arguments
        if verb not in self.about:
            raise InputError(f"{self.command}: no verb {verb!r}; allowed: {', '.join(self.about)}")
        return self.module(verb).main(rest) or 0


def verb_parser(verb: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """The parser of `pose-gan VERB`. Flags cannot be abbreviated, and the epilog keeps its line breaks."""
    return argparse.ArgumentParser(
        f"pose-gan {verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def command_line(verb: str, argv: Sequence[str] | None) -> str:
    """The user's command line for the records, in a form that can be typed again.

    Args:
        verb: the verb of `pose-gan`.
        argv: the arguments of `main`; None: those of the process.
    """
    words = argv if argv is not None else sys.argv[1:]
    return shlex.join(["pose-gan", *verb.split(), *words])
