"""Names of strips: made of the names of source and target image, by us and by other programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pose_gan.errors import InputError
from pose_gan.files.folders import IMAGE_SUFFIXES

SEPARATORS = ("___", "_2_", "_")  # between the two names: PATN's, GFLA's, the release's
TAIL = "_vis"  # what PATN and GFLA put behind the names


def strip_name(source: str, target: str) -> str:
    """`a.jpg`, `b.jpg` → `a.jpg_b.jpg.png`, as in the release."""
    return f"{source}_{target}.png"


def spellings(names: Iterable[str]) -> dict[str, str]:
    """How image names may be spelled within the name of a strip: whole, and without suffix where that is unique.

    Returns: spelling → image name.
    """
    names = sorted(names)
    stems = Counter(Path(name).stem for name in names)
    return {Path(name).stem: name for name in names if stems[Path(name).stem] == 1} | {name: name for name in names}


def split_name(
    name: str, sources: Mapping[str, str] | None = None, targets: Mapping[str, str] | None = None
) -> tuple[str, str] | None:
    """The names of source and target in the name of a strip; None where there are none.

    Args:
        name: `a.jpg_b.jpg.png`, `a.jpg___b.jpg_vis.jpg`, `a_2_b_vis.png`, …
        sources: of the images that there are, from `spellings`; None: not known, then only suffixes within the name
            tell the two apart.
        targets: the same; None: as `sources`.
    Raises: InputError: it may be read in several ways.
    """
    if sources is None:
        both = [pair for pair in _splits(name) if all(part.lower().endswith(IMAGE_SUFFIXES) for part in pair)]
        return max(both, key=lambda pair: len(pair[1]), default=None)  # the target's name may well begin with 2_
    targets = sources if targets is None else targets
    readings = {(sources[a], targets[b]) for a, b in _splits(name) if a in sources and b in targets}
    if len(readings) > 1:
        shown = " or ".join(f"{a} -> {b}" for a, b in sorted(readings))
        raise InputError(f"{name}: this name may mean {shown}; rename it, or give separate folders")
    return readings.pop() if readings else None


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """All ways to cut the name of a strip in two."""
    stem = Path(name).stem
    for text in dict.fromkeys((stem, stem.removesuffix(TAIL))):
        for match in re.finditer("_", text):
            for separator in SEPARATORS:
                left, right = text[: match.start()], text[match.start() + len(separator) :]
                if text.startswith(separator, match.start()) and not right.startswith("_"):
                    yield left, right
