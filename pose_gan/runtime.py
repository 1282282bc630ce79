"""How the programs start TensorFlow. The library itself changes nothing of the process that it runs in."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pose_gan.errors import InputError
from pose_gan.versions import no_tensorflow

NOTES = ("All log messages before absl::InitializeLog()", "oneDNN custom operations are on")
"""What TensorFlow writes to the error output at every start, whatever log level is set."""
UNSEEN = ("IPython", "cv2", "matplotlib", "pandas")
"""What Keras imports, where it is installed, for functions that no program calls: up to a third of the import."""

# The filter is a process of its own, so that what TensorFlow says before it aborts is seen too.
_FILTER = """
import sys
for line in iter(sys.stdin.buffer.readline, b""):
    if not any(note.encode() in line for note in sys.argv[1:]):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""


def start() -> None:
    """Imports TensorFlow and sets it up for a program.

    Its start-up notes are left out; warnings and errors are shown. Ctrl-C during the import, when nothing is done
    yet, ends the process at once. Keras is told that `UNSEEN` is absent; later imports of it work.

    The graph remapper (the fusion of convolutions with what follows them) is switched off: it fails on convolutions
    whose output also goes to a skip connection, after an error message on the console, and then does nothing; what it
    could fuse in these networks was not measurable.

    Raises: InputError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # leaves out notes, not warnings
    if "tensorflow" not in sys.modules:
        with _without_notes(), _interrupt_ends_at_once(), _unseen():
            try:
                import tensorflow  # noqa: F401
            except ModuleNotFoundError as error:
                if error.name != "tensorflow":
                    raise
                raise InputError(no_tensorflow()) from None
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"remapping": False})


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """TensorFlow's functions are run step by step inside of the block: for a single call, tracing takes longer."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """The error output of the process goes through a filter that leaves out `NOTES`."""
    sys.stderr.flush()
    filtering = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _FILTER, *NOTES], stdin=subprocess.PIPE, start_new_session=True
    )
    assert filtering.stdin is not None
    errors = os.dup(2)
    os.dup2(filtering.stdin.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(errors, 2)
        os.close(errors)
        filtering.stdin.close()
        filtering.wait()


@contextlib.contextmanager
def _interrupt_ends_at_once() -> Iterator[None]:
    """Ctrl-C ends the process as the system does it: no traceback out of the middle of an import."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Imports of `UNSEEN` fail, as if nothing of it was installed, unless it is imported already."""
    modules: dict[str, Any] = sys.modules  # None stands for a module that is not to be found
    hidden = [name for name in UNSEEN if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            if name in modules and modules[name] is None:
                del modules[name]
