"""`pose-gan study run`: a page in the browser that shows a study's images to raters, and takes their answers."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose_gan.errors import InputError
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import read_text, write_text
from pose_gan.programs.verbs import verb_parser
from pose_gan.versions import install

if TYPE_CHECKING:
    from pose_gan.study.plan import StudyFolder
    from pose_gan.web.raters import Rehearsal

TOKEN = ".token"  # in the study's folder: pages that are open go on after a new start of the program
RATERS = 30  # of the paper, and of a rehearsal
EPILOG = """examples:
  pose-gan study run study --open
  pose-gan study run study --host 0.0.0.0                         # raters on other machines and phones of this network
  pose-gan study run study-copy --simulate 0.23,0.50 --raters 30 --open   # a rehearsal

Each answer is on the disk before the next image is shown. Raters can come one after the other or at once. A page that
is loaded again goes on where it was, and so does a program that is started again. pose-gan study score counts.

A rehearsal tries the whole way on a copy of the folder: the browser itself answers, with the rates R2G (real images
taken for generated) and G2R (generated ones taken for real). Such raters are marked, and never count beside others."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("study run", "Shows the images of a study to raters, each for one second.", EPILOG)
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder that pose-gan study prepare made")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0: any free one (default: 8000)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="NAME",
        help="name or address to listen on; 0.0.0.0 (or ::) lets other machines in, if they have the address with its "
        "token (default: 127.0.0.1, this machine only)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--simulate",
        type=_rates,
        metavar="R2G,G2R",
        help="a rehearsal: the browser answers with these rates, 0 to 1; add ?simulate=visual to the address to watch",
    )
    parser.add_argument(
        "--raters", type=int, metavar="N", help=f"of a rehearsal, which then ends by itself (default: {RATERS})"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the page until Ctrl-C. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    rehearsal = _rehearsal(args)
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port must be 0 to 65535, got {args.port}")
    if not importlib.util.find_spec("tornado"):
        raise InputError(f"study run needs the package tornado: {install('web')}")
    import asyncio

    from pose_gan.study.plan import read_study
    from pose_gan.web.addresses import hosts_of, is_here, plain
    from pose_gan.web.judging import LARGEST, page
    from pose_gan.web.raters import Raters
    from pose_gan.web.server import Guard, bind, serve

    folder, host = read_study(args.study), plain(args.host)
    with only_program(args.study / LOCK):
        raters = Raters(folder, rehearsal, lambda line: print(line, flush=True))
        away = not is_here(host)
        guard = Guard(hosts_of(host), token=_token(args.study) if away else None, numbers=away)
        ended = asyncio.Event()
        answers = page(raters, guard, ended)
        print(_how_many(folder), flush=True)
        serve(answers, bind(args.port, host), LARGEST, args.open, ended)
        print(_how_many(folder), flush=True)
    return 0


def _rates(text: str) -> tuple[float, float]:
    try:
        r2g, g2r = map(float, text.split(","))
    except ValueError:
        r2g = g2r = -1.0
    if not (0 <= r2g <= 1 and 0 <= g2r <= 1):
        raise argparse.ArgumentTypeError(f"expected two shares from 0 to 1, such as 0.23,0.50, got {text!r}")
    return r2g, g2r


def _rehearsal(args: argparse.Namespace) -> Rehearsal | None:
    if args.simulate is None:
        if args.raters is not None:
            raise InputError("--raters counts simulated raters; give --simulate, or leave it out")
        return None
    if args.raters is not None and args.raters < 1:
        raise InputError(f"--raters must be 1 or more, got {args.raters}")
    from pose_gan.web.raters import Rehearsal

    r2g, g2r = args.simulate
    return Rehearsal(r2g, g2r, args.raters or RATERS)


def _token(folder: Path) -> str:
    """The token of the study's addresses, which stays the same. A damaged one is replaced."""
    path = folder / TOKEN
    with contextlib.suppress(FileNotFoundError, InputError, UnicodeDecodeError):
        if re.fullmatch(r"[A-Za-z0-9_-]{16,}", token := read_text(path, limit=1000).strip()):
            return token
    token = secrets.token_urlsafe(16)
    write_text(path, token)
    path.chmod(0o600)
    return token


def _how_many(folder: StudyFolder) -> str:
    """How many raters have answered everything, in words."""
    from pose_gan.study.answers import read_raters, state_of

    raters = read_raters(folder)
    finished = [file for file in raters if state_of(file.events).finished]
    simulated = sum(file.rater.simulated for file in finished)
    words = f"{folder.folder}: {len(finished)} {'rater has' if len(finished) == 1 else 'raters have'} finished"
    words += f" ({simulated} of a rehearsal)" if simulated else ""
    return words + (f", {rest} did not come to the end" if (rest := len(raters) - len(finished)) else "")
