"""What the raters answered: every trial of every rater, and whether it counts.

| left out | when |
| --- | --- |
| practice | the image was for practice |
| first ten | protocol `pg2`: the answer is among the rater's first ten of the main part |
| interrupted | the page was left or loaded again while the image was shown or the question asked |
| no answer | the time for the answer passed |
| display time | the image was shown for a time that is farther from the study's than the tolerance |
| page hidden | the page was not visible all the time |
| not shown | the rater stopped before |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pose_gan.errors import InputError
from pose_gan.study.answers import Event, RaterFile, state_of
from pose_gan.study.plan import FIRST_DROPPED, Comparison, Image, Protocol, StudyFolder, Trial, trials_of

TOLERANCE_MS = 50.0
PRACTICE, FIRST, INTERRUPTED, UNANSWERED = "practice", "first ten", "interrupted", "no answer"
DISPLAY, HIDDEN, NOT_SHOWN = "display time", "page hidden", "not shown"


@dataclass(frozen=True)
class Answer:
    """A trial of a rater.

    Attributes:
        rater: name of the rater.
        trial: the trial.
        image: its image; None for a comparison.
        comparison: the comparison; None for an image.
        answer: what the rater said; None: nothing.
        reaction_ms: milliseconds from the question to the answer; None: there is none.
        shown_ms: milliseconds for which the image was seen; None: not known.
        left_out: why the answer does not count; empty: it counts.
    """

    rater: str
    trial: Trial
    image: Image | None
    comparison: Comparison | None
    answer: str | None
    reaction_ms: float | None
    shown_ms: float | None
    left_out: str

    @property
    def counts(self) -> bool:
        return not self.left_out

    @property
    def item(self) -> int:
        """The number of the image, or of the comparison."""
        return self.image.number if self.image else self.comparison.number if self.comparison else 0

    @property
    def kind(self) -> str:
        """`real` or `generated`, or `comparison`."""
        return self.image.kind if self.image else "comparison"

    @property
    def wrong(self) -> bool:
        """Whether an image was taken for one of the other class."""
        return self.image is not None and self.answer is not None and self.answer != self.image.kind


@dataclass(frozen=True)
class Answers:
    """What is scored.

    Attributes:
        folder: the study.
        all: every trial of the raters who are scored, in their order.
        raters: their names → the systems that they judge.
        finished: number of raters who saw all trials.
        protocol: by which answers count.
        tolerance_ms: milliseconds by which the time of display may differ.
        simulated: whether the raters are programs.
        others: number of raters who are not scored: simulated ones beside people, or people beside simulated ones.
    """

    folder: StudyFolder
    all: tuple[Answer, ...]
    raters: Mapping[str, tuple[str, ...]]
    finished: int
    protocol: Protocol
    tolerance_ms: float
    simulated: bool
    others: int

    @property
    def counted(self) -> list[Answer]:
        return [answer for answer in self.all if answer.counts]

    @property
    def left_out(self) -> dict[str, int]:
        """Why answers do not count → how many, most first."""
        return dict(Counter(answer.left_out for answer in self.all if answer.left_out).most_common())


def count_answers(
    folder: StudyFolder,
    raters: Sequence[RaterFile],
    protocol: Protocol | None = None,
    tolerance_ms: float = TOLERANCE_MS,
    simulated: bool = False,
) -> Answers:
    """Says of every trial whether it counts.

    Args:
        folder: the study.
        raters: from `read_raters`.
        protocol: None: the study's own.
        tolerance_ms: milliseconds by which the time of display may differ from the study's.
        simulated: whether simulated raters are scored, in place of people.
    Raises: InputError: there are no such raters, or a file of answers is of another study.
    """
    chosen = [file for file in raters if file.rater.simulated == simulated]
    if not chosen:
        raise InputError(_nobody(folder, len(raters), simulated))
    protocol = protocol or folder.study.protocol
    found = [answer for file in chosen for answer in _answers(folder, file, protocol, tolerance_ms)]
    stopped = {answer.rater for answer in found if answer.left_out == NOT_SHOWN}
    return Answers(
        folder,
        tuple(found),
        {file.rater.rater: file.rater.systems for file in chosen},
        len(chosen) - len(stopped),
        protocol,
        tolerance_ms,
        simulated,
        len(raters) - len(chosen),
    )


def _nobody(folder: StudyFolder, others: int, simulated: bool) -> str:
    if not others:
        return f"{folder.raters}: no answers yet; pose-gan study run {folder.folder} shows the images to raters"
    if simulated:
        return f"{folder.raters}: --simulated: none of the {others} raters is simulated"
    return f"{folder.raters}: all {others} raters are simulated; --simulated scores such a rehearsal"


def _answers(folder: StudyFolder, file: RaterFile, protocol: Protocol, tolerance_ms: float) -> Iterator[Answer]:
    state = state_of(file.events)
    if set(file.rater.systems) != set(folder.study.systems_of(file.rater.number)):
        raise InputError(
            f"{file.path}, line 1: the rater judges other systems than this study's; is it of another one?"
        )
    trials = trials_of(folder, file.rater.number)
    _check_trials(file, trials)
    main = 0
    for trial in trials:
        event, main = state.answered.get(trial.trial), main + (trial.part == "main")
        reason = PRACTICE if trial.part == "practice" else ""
        if not reason and protocol == "pg2" and trial.part == "main" and main <= FIRST_DROPPED:
            reason = FIRST
        if event is None:
            reason = INTERRUPTED if trial.trial in state.interrupted else NOT_SHOWN
        else:
            reason = reason or _fault(event, folder.study.display_ms, tolerance_ms)
        given = event or {}
        yield Answer(
            file.rater.rater,
            trial,
            None if trial.image is None else folder.images[trial.image],
            None if trial.comparison is None else folder.comparisons[trial.comparison],
            given.get("answer"),
            given.get("reaction_ms"),
            given.get("shown_ms"),
            reason,
        )


def _fault(event: Event, display_ms: int, tolerance_ms: float) -> str:
    """Why an answer that was given does not count; empty: it counts."""
    if event["hidden"]:
        return HIDDEN
    if "image" in event and abs(event["shown_ms"] - display_ms) > tolerance_ms:
        return DISPLAY
    return UNANSWERED if event["answer"] is None else ""


def _check_trials(file: RaterFile, trials: Iterable[Trial]) -> None:
    """Raises InputError if an event is not of the trial whose number it bears."""
    shown = {trial.trial: (trial.image, trial.comparison) for trial in trials}
    for line, event in enumerate(file.events, start=2):
        if "trial" in event and shown.get(event["trial"]) != (event.get("image"), event.get("comparison")):
            raise InputError(
                f"{file.path}, line {line}: trial {event['trial']} of this study shows something else; the answers are "
                "of another study, or the study was changed"
            )
