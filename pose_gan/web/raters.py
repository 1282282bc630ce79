"""The raters of a study while a server runs: what comes next for each, and what is taken from whom.

A page tells what happens as events. It repeats an event until it is acknowledged, so one that is known already is
acknowledged again, and not written twice. Each load of a page is a visit: events of an earlier visit (another window of
the same rater) are refused, and an image that was begun in it has been seen, and is not shown again.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_gan.errors import InputError, reason
from pose_gan.study.answers import RaterFile, State, read_raters, state_of
from pose_gan.study.plan import StudyFolder, Trial, trials_of

OF_ANSWERS = ("answer", "reaction_ms", "shown_ms", "late_frames", "hidden", "by")  # what the page tells of one
OF_BROWSER = ("agent", "language", "touch")
LONGEST_TEXT = 300
TYPICAL_REACTION_MS, REACTION_SPREAD = 650.0, 0.35  # of raters in a rehearsal: the median, and sigma of its logarithm

Table = dict[str, Any]


class NoRater(InputError):
    """Nobody has this secret here."""


class OtherWindow(InputError):
    """The rater went on in another window."""


class NotWritten(Exception):
    """The disk did not take an event."""


@dataclass(frozen=True)
class Rehearsal:
    """Simulated raters.

    Attributes:
        r2g: share of the real images that they take for generated, 0 to 1.
        g2r: share of the generated images that they take for real.
        raters: how many there are.
    """

    r2g: float
    g2r: float
    raters: int

    def answers(self, folder: StudyFolder, number: int, trials: list[Trial]) -> list[Table]:
        """What a rater answers, the same one each time; `left` and `right` for comparisons."""
        random = np.random.default_rng([folder.study.seed, number, 1])
        errs, coins = random.random(len(trials)), random.integers(2, size=len(trials))
        times = TYPICAL_REACTION_MS * np.exp(REACTION_SPREAD * random.standard_normal(len(trials)))
        answers: list[Table] = []
        for trial, chance, coin, time in zip(trials, errs, coins, times, strict=True):
            if trial.image is None:
                answer = ("left", "right")[coin]
            elif folder.images[trial.image].kind == "real":
                answer = "generated" if chance < self.r2g else "real"
            else:
                answer = "real" if chance < self.g2r else "generated"
            answers.append({"answer": answer, "reaction_ms": round(float(time), 1)})
        return answers


class Session:
    """A rater's place in the study.

    Attributes:
        file: the rater's answers.
        trials: all of them, in the rater's order.
    """

    def __init__(self, file: RaterFile, trials: list[Trial]) -> None:
        self.file = file
        self.trials = trials

    @property
    def state(self) -> State:
        return state_of(self.file.events)

    @property
    def visit(self) -> str | None:
        """The current load of the page."""
        return next((event.get("visit") for event in reversed(self.file.events) if event["event"] == "loaded"), None)

    @property
    def shown(self) -> int | None:
        """The image trial that was begun in this visit, and has no answer yet."""
        for event in reversed(self.file.events):
            if event["event"] != "finished":
                return event["trial"] if event["event"] == "begun" else None
        return None

    def trial(self, number: Any) -> Trial:
        if type(number) is not int or not 1 <= number <= len(self.trials):
            raise InputError(f"trial must be 1 to {len(self.trials)}, got {str(number)[:60]}")
        return self.trials[number - 1]

    def begun(self, number: Any) -> Table | None:
        """The event to write; None: it is known. Raises InputError: it is not this trial's turn."""
        trial = self.trial(number)
        if self.shown == number:
            return None
        if number != self.state.next or trial.image is None or self.shown is not None:
            raise InputError(f"trial {number} cannot begin now; load the page again")
        return {"event": "begun", "trial": number, "image": trial.image}

    def answered(self, event: Table, limited: bool) -> Table | None:
        """The event to write; None: there is an answer already. Raises InputError: it is not this trial's turn."""
        number = event.get("trial")
        trial, state = self.trial(number), self.state
        if number in state.answered:
            return None
        if self.shown != number and (trial.image is not None or number != state.next):
            raise InputError(f"trial {number} cannot be answered now; load the page again")
        values = {name: event[name] for name in OF_ANSWERS if name in event}
        answer = values.get("answer")
        may_lack = limited and trial.image is not None
        if (answer is None) != (values.get("reaction_ms") is None) or (answer is None and not may_lack):
            raise InputError(f"trial {number}: an answer and its time are missing")
        told = {"event": "answer", "trial": number, "part": trial.part, **values}
        if trial.image is not None:
            return {**told, "image": trial.image}
        sides = ("second", "first") if trial.swapped else ("first", "second")
        if answer is not None and answer not in ("left", "right"):
            raise InputError(f"trial {number}: answer must be left or right, got {str(answer)[:60]!r}")
        named = None if answer is None else sides[answer == "right"]
        return {**told, "answer": named, "comparison": trial.comparison, "swapped": trial.swapped}


class Raters:
    """All raters of a study. One server at a time has them, in one thread.

    Args:
        folder: the study.
        rehearsal: all raters are simulated; None: none is.
        tell: gets a line when a rater begins and ends, and when the disk does not take an answer.
    """

    def __init__(
        self, folder: StudyFolder, rehearsal: Rehearsal | None = None, tell: Callable[[str], None] = print
    ) -> None:
        self.folder = folder
        self.rehearsal = rehearsal
        self.new = self.finished = 0  # in this run of the program
        self._tell = tell
        self._sessions: dict[str, Session] = {}
        files = [file.rater for file in read_raters(folder)]
        self._names = {rater.secret_sha256: rater.rater for rater in files if rater.secret_sha256}

    def begin(self, secret: str, browser: Any) -> Session:
        """A new rater, or the one who has this secret already.

        Raises: InputError: the rehearsal has all its raters. NotWritten.
        """
        digest = _digest(secret)
        if digest in self._names:
            return self.session(secret)
        if self.rehearsal and self.new >= self.rehearsal.raters:
            raise InputError("The rehearsal has all its raters.")
        known = browser if isinstance(browser, dict) else {}
        told = {name: _short(known[name]) for name in OF_BROWSER if name in known}
        try:
            file = RaterFile.create(self.folder, told, self.rehearsal is not None, digest)
        except OSError as error:
            raise self._not_written(error) from None
        self.new += 1
        for other in [one for one, name in self._names.items() if name == file.rater.rater]:
            del self._names[other]  # whose file was deleted; the name has another rater now
            self._sessions.pop(other, None)
        self._names[digest] = file.rater.rater
        self._sessions[digest] = Session(file, trials_of(self.folder, file.rater.number))
        self._tell(f"{file.rater.rater} begins")
        return self._sessions[digest]

    def session(self, secret: str) -> Session:
        """The rater of a secret.

        Raises: NoRater: nobody has this secret, or the file is gone, or is not of this kind of run. NotWritten: the
            folder of the study is gone.
        """
        digest = _digest(secret)
        if digest in self._names and not self.folder.raters.is_dir():
            raise self._not_written(FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.folder.raters)))
        if digest in self._names and digest not in self._sessions:
            file = RaterFile.open(self.folder, self._names[digest])
            self._sessions[digest] = Session(file, trials_of(self.folder, file.rater.number))
        session = self._sessions.get(digest)
        if session is None or not session.file.path.exists():
            raise NoRater("This study does not know this rater. Begin anew.")
        if session.file.rater.simulated != (self.rehearsal is not None):
            raise NoRater("This rater belongs to a rehearsal, or this is one. Begin anew.")
        return session

    def take(self, secret: str, event: Table) -> bool:
        """Writes an event to the disk. Returns whether it was new.

        Raises: NoRater, OtherWindow, NotWritten. InputError: it is no event, or not its turn.
        """
        session = self.session(secret)
        kind, visit = event.get("event"), event.get("visit")
        if kind == "loaded":
            return visit != session.visit and self._load(session, event)
        if visit is None or visit != session.visit:
            raise OtherWindow("You went on in another window. Close this one.")
        if kind == "begun":
            line = session.begun(event.get("trial"))
        elif kind == "answer":
            line = session.answered(event, self.folder.study.answer_limit_s is not None)
        elif kind == "finished" and session.state.next > len(session.trials):
            line = None if session.state.finished else {"event": "finished"}
        else:
            raise InputError(f"not an event of this moment: {str(kind)[:60]!r}")
        if line is not None:
            self._write(session, line)
        if line is not None and kind == "finished":
            self.finished += 1
            self._tell(f"{session.file.rater.rater} has finished: {self._done(session)}")
        return line is not None

    def _load(self, session: Session, event: Table) -> bool:
        if not isinstance(event.get("visit"), str) or not event["visit"]:
            raise InputError("a visit is a text")
        again = any(one["event"] != "loaded" for one in session.file.events)
        told = {name: event[name] for name in ("event", "visit", "window", "pixel_ratio") if name in event}
        self._write(session, told)
        if again and not session.state.finished:
            place = min(session.state.next, len(session.trials))
            self._tell(f"{session.file.rater.rater} goes on at {place} of {len(session.trials)}")
        return True

    def _write(self, session: Session, line: Table) -> None:
        try:
            session.file.append(line)
        except OSError as error:
            raise self._not_written(error) from None

    def _not_written(self, error: OSError) -> NotWritten:
        self._tell(f"error: {self.folder.raters}: an answer cannot be written: {reason(error)}; the page waits")
        return NotWritten(
            f"The server cannot write to its disk ({error.strerror or 'no reason given'}). Nothing is lost. Call the "
            "person who runs this study, who repairs it; then press the button."
        )

    def _done(self, session: Session) -> str:
        state = session.state
        answers = sum(event["answer"] is not None for event in state.answered.values())
        out = f", {len(state.interrupted)} interrupted" if state.interrupted else ""
        return f"{answers} answers to {len(session.trials)} questions{out}"

    # --------------------------------------------------------------------------------- what pages are told

    def todo(self, secret: str) -> Table:
        """What is left for a rater: neither kinds nor systems of images, except the answers of a rehearsal.

        Raises: NoRater.
        """
        session = self.session(secret)
        study, state, number = self.folder.study, session.state, session.file.rater.number
        answers = self.rehearsal.answers(self.folder, number, session.trials) if self.rehearsal else []
        places: dict[str, int] = {}
        trials: list[Table] = []
        for trial in session.trials:
            places[trial.part] = places.get(trial.part, 0) + 1
            if trial.trial >= state.next:
                told = {"trial": trial.trial, "part": trial.part, "place": places[trial.part], **self._images(trial)}
                trials.append(told | ({"rehearsal": answers[trial.trial - 1]} if answers else {}))
        return {
            "rater": session.file.rater.rater,
            # Systems go in turn by the rater's number; the sides change only when all of them had their turn.
            "left": ("real", "generated")[(number - 1) // len(study.systems) % 2],
            "counts": places,
            "begun": state.next > 1,
            "interrupted": len(state.interrupted),
            "finished": state.finished,
            "trials": trials,
        }

    def _images(self, trial: Trial) -> Table:
        if trial.comparison is None:
            return {"images": [_address(trial.image)]}
        asked = self.folder.comparisons[trial.comparison]
        pair = [_address(asked.first), _address(asked.second)]
        return {"target": _address(asked.target), "images": pair[::-1] if trial.swapped else pair}


def _address(number: int | None) -> str:
    return f"images/{number}.png"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _short(value: Any) -> Any:
    return value if type(value) in (bool, int) else str(value)[:LONGEST_TEXT]
