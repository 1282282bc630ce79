"""Which of the images at hand a study shows.

No rater should see a generated image and its own target, nor one target twice. The choice keeps to this as far as there
are images enough, and `Choice.remarks` say where it could not.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from pose_gan.errors import InputError
from pose_gan.study.plan import Kind, Part, Study
from pose_gan.study.sources import Pair, Picture, System

REAL = 1_000_000  # a target that is a real image is shown worse again than any number of others
Name = TypeVar("Name")


class Chosen(NamedTuple):
    """A picture that is shown, and as what."""

    part: Part
    kind: Kind
    system: str
    picture: Picture


class Triple(NamedTuple):
    """A comparison, as places in `Choice.images`."""

    target: int
    first: int
    second: int


@dataclass
class Choice:
    """What a study shows. `used`: target → how bad it is to show it again."""

    images: list[Chosen] = field(default_factory=list)
    comparisons: list[Triple] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)

    def add(self, part: Part, kind: Kind, system: str, picture: Picture) -> int:
        """Adds a picture, and returns its place."""
        self.images.append(Chosen(part, kind, system, picture))
        self.used[picture.target] += REAL if kind == "real" else 1
        return len(self.images) - 1


def choose(study: Study, systems: Sequence[System], real: Mapping[str, Picture]) -> Choice:
    """Draws the images of a study.

    Args:
        study: its settings.
        systems: where the generated images come from, in the order of `study.systems`.
        real: the real images by name.
    Raises: InputError: there are too few images.
    """
    random, choice = np.random.default_rng(study.seed), Choice()
    practice = study.practice - study.practice_generated
    if len(real) < (needed := study.count_real + practice):
        raise InputError(
            f"{study.count_real} real images and {practice} for practice are asked for, and there are {len(real)}; "
            f"give more, or --count_real and --practice that need no more than {len(real)} in place of {needed}"
        )
    names = _shuffled(sorted(real), random)[:needed]
    for place, name in enumerate(names):
        choice.add("main" if place < study.count_real else "practice", "real", "", real[name])
    _generated(choice, study, systems, random)
    for pair in itertools.combinations(systems, 2) if study.comparisons else ():
        _compared(choice, study.comparisons, *pair, real, random)
    _remark_overlaps(choice, study)
    return choice


def _generated(choice: Choice, study: Study, systems: Sequence[System], random: np.random.Generator) -> None:
    """Adds the generated images.

    The systems show the same pairs, so that their scores compare, unless a rater sees several systems: then two images
    of one pair would tell that both are generated.
    """
    needed = study.count_generated + study.practice_generated
    for system in systems:
        if len(system.generated) < needed:
            raise InputError(
                f"{study.count_generated} generated images and {study.practice_generated} for practice are asked for, "
                f"and {system.name} has {len(system.generated)}; give more, or a smaller --count_generated"
            )
    common = common_pairs(systems)
    alike = len(systems) > 1 and study.systems_per_rater == 1 and len(common) >= needed
    if len(systems) > 1 and study.systems_per_rater == 1 and not alike:
        choice.remarks.append(
            f"The systems show different pairs: all have {len(common)} pairs in common, and {needed} are needed."
        )
    pairs: list[Pair] = []
    used = Counter(choice.used)
    for number, system in enumerate(systems):
        if not alike or number == 0:
            pairs = _least_used(common if alike else sorted(system.generated), needed, used, random)
        for place, pair in enumerate(pairs):
            part: Part = "main" if place < study.count_generated else "practice"
            choice.add(part, "generated", system.name, system.generated[pair])


def _compared(
    choice: Choice,
    count: int,
    first: System,
    second: System,
    real: Mapping[str, Picture],
    random: np.random.Generator,
) -> None:
    """Adds comparisons of two systems: pairs that both have, and whose target is at hand."""
    pairs = [pair for pair in common_pairs([first, second]) if pair[1] in real]
    if len(pairs) < count:
        raise InputError(
            f"--comparisons {count}: {first.name} and {second.name} have {len(pairs)} pairs in common whose target "
            "image is there; give folders of the same pairs, or fewer comparisons"
        )
    for pair in _least_used(pairs, count, Counter(choice.used), random):
        target = choice.add("comparison", "target", "", real[pair[1]])
        both = (choice.add("comparison", "generated", one.name, one.generated[pair]) for one in (first, second))
        choice.comparisons.append(Triple(target, *both))


def common_pairs(systems: Sequence[System]) -> list[Pair]:
    """The pairs of which all systems have an image, sorted."""
    first, *others = (set(system.generated) for system in systems)
    return sorted(first.intersection(*others))


def _least_used(pairs: Sequence[Pair], count: int, used: Counter[str], random: np.random.Generator) -> list[Pair]:
    """Pairs in a random order, those first whose targets are shown least often. Counts them in `used`."""
    seen, keyed = Counter(used), []
    for place, pair in enumerate(_shuffled(pairs, random)):
        keyed.append((seen[pair[1]] if pair[1] else 0, place, pair))
        seen[pair[1]] += 1
    chosen = [pair for *_, pair in sorted(keyed)[:count]]
    used.update(target for _, target in chosen)
    return _shuffled(chosen, random)


def _shuffled(items: Sequence[Name], random: np.random.Generator) -> list[Name]:
    return [items[place] for place in random.permutation(len(items)).tolist()]


def _remark_overlaps(choice: Choice, study: Study) -> None:
    """Says how many generated images the same rater may see beside their own target, or beside another of that target.

    All raters see all real images and all comparisons.
    """
    judged = [one for one in choice.images if one.part != "comparison"]
    real = {one.picture.target for one in judged if one.kind == "real"}
    beside = [one for one in judged if one.kind == "generated" and one.picture.target in real]
    if beside:
        choice.remarks.append(
            f"There are too few images: generated ones whose targets are shown as real images: {len(beside)}."
        )
    unknown = sum(one.kind == "generated" and not one.picture.target for one in judged)
    if unknown:
        choice.remarks.append(
            f"Generated images whose names do not tell their targets, which may be among the real images: {unknown}."
        )
    once = study.systems if study.systems_per_rater > 1 else study.systems[:1]
    shown = Counter(one.picture.target for one in judged if one.system in once and one.picture.target)
    twice = sum(count - 1 for count in shown.values())
    if twice:
        choice.remarks.append(f"There are too few targets: generated images of a target that others have: {twice}.")
    compared = sum(one.kind == "target" and one.picture.target in real | shown.keys() for one in choice.images)
    if compared:
        choice.remarks.append(
            f"Targets of comparisons that raters saw before, as real or as generated ones: {compared}."
        )
