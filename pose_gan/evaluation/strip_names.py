"""Names of strips. Our programs and others make them from the names of the source and the target image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pose_gan.errors import InputError
from pose_gan.files.folders import IMAGE_SUFFIXES

SEPARATORS = ("___", "_2_", "_")  # separators between the two names in PATN, in GFLA and in the release
LONGEST = 255  # bytes of a file name, in all usual file systems
TAIL = "_vis"  # PATN and GFLA put it after the two names


def strip_name(source: str, target: str) -> str:
    """`a.jpg`, `b.jpg` → `a.jpg_b.jpg.png`, as in the release."""
    return f"{source}_{target}.png"


def strip_name_problem(source: str, target: str) -> str | None:
    """The reason why no file can have the name of a pair's strip; None if one can."""
    length = len(strip_name(source, target).encode())
    if length <= LONGEST:
        return None
    return (
        f"the strip of {source} -> {target} would have a name of {length} bytes, and a file system takes at most "
        f"{LONGEST}; shorten the names of the images"
    )


def spellings(names: Iterable[str]) -> dict[str, str]:
    """The spellings of image names in a strip's name: the whole name, and the name without suffix if it is unique.

    Returns: spelling → image name.
    """
    names = sorted(names)
    stems = Counter(Path(name).stem for name in names)
    return {Path(name).stem: name for name in names if stems[Path(name).stem] == 1} | {name: name for name in names}


def split_name(
    name: str, sources: Mapping[str, str] | None = None, targets: Mapping[str, str] | None = None
) -> tuple[str, str] | None:
    """The names of source and target in the name of a strip; None if it contains no two image names.

    Args:
        name: the strip's name, such as `a.jpg_b.jpg.png`, `a.jpg___b.jpg_vis.jpg` or `a_2_b_vis.png`.
        sources: spellings of the existing images, from `spellings`; None: they are not known, and only suffixes within
            the name separate the two names.
        targets: the same for target images; None: as `sources`.
    Raises: InputError: the name can be read in several ways.
    """
    if sources is None:
        both = [pair for pair in _splits(name) if all(part.lower().endswith(IMAGE_SUFFIXES) for part in pair)]
        return max(both, key=lambda pair: len(pair[1]), default=None)  # a target's name may begin with 2_
    targets = sources if targets is None else targets
    readings = {(sources[a], targets[b]) for a, b in _splits(name) if a in sources and b in targets}
    if len(readings) > 1:
        shown = " or ".join(f"{a} -> {b}" for a, b in sorted(readings))
        raise InputError(f"{name}: this name may mean {shown}; rename it, or give separate folders")
    return readings.pop() if readings else None


def target_in(name: str, targets: Mapping[str, str]) -> tuple[str, str] | None:
    """What the name of a strip has in front of a target's name, and the target; None if it ends with no target's name.

    Args: as for `split_name`.
    Raises: InputError: the name ends with the names of several targets.
    """
    readings = {targets[right]: left for left, right in sorted(_splits(name), reverse=True) if right in targets}
    if len(readings) > 1:
        raise InputError(f"{name}: this name may end with {' or '.join(sorted(readings))}; rename it, or give --source")
    return next(((left, target) for target, left in readings.items()), None)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """All ways to cut the name of a strip in two."""
    stem = Path(name).stem
    for text in dict.fromkeys((stem, stem.removesuffix(TAIL))):
        for match in re.finditer("_", text):
            for separator in SEPARATORS:
                left, right = text[: match.start()], text[match.start() + len(separator) :]
                if text.startswith(separator, match.start()) and not right.startswith("_"):
                    yield left, right
