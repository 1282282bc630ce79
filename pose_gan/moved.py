"""Names of version 0.1 that moved. The old ones work in version 0.2 and say what replaces them."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from collections.abc import Sequence

MODULES = {
    "pose_gan.drawing": "pose_gan.poses.drawing",
    "pose_gan.formats": "pose_gan.model_files.formats",
    "pose_gan.keypoints": "pose_gan.poses.keypoints",
    "pose_gan.metadata": "pose_gan.model_files.metadata",
    "pose_gan.saving": "pose_gan.model_files.saving",
    "pose_gan.skeleton": "pose_gan.poses.skeleton",
}
PROGRAMS = ("animate", "compare", "convert", "evaluate", "export", "figure", "info")  # once `python -m pose_gan.NAME`


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives a module of the old name that has the names of the new one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        known = fullname in MODULES or fullname.removeprefix("pose_gan.") in PROGRAMS
        # The origin becomes sys.argv[0], which TensorFlow reads
        return importlib.util.spec_from_loader(fullname, self, origin=__file__) if known else None

    def exec_module(self, module: types.ModuleType) -> None:
        new = MODULES.get(module.__name__, "pose_gan.programs." + module.__name__.rpartition(".")[2])
        # two frames up, leaving out those of the import system, is who imports
        warnings.warn(f"{module.__name__} is now {new}; the old name goes with 0.3", DeprecationWarning, stacklevel=2)
        names = vars(importlib.import_module(new))
        module.__dict__.update({name: value for name, value in names.items() if not name.startswith("__")})

    def get_source(self, fullname: str) -> str | None:
        """What `python -m pose_gan.NAME` runs."""
        verb = fullname.rpartition(".")[2]
        note = f"note: python -m pose_gan.{verb} is now pose-gan {verb}; the old form goes with 0.3"
        return (
            "import sys\nfrom pose_gan.__main__ import main\nfrom pose_gan.errors import run_program\n"
            f"print({note!r}, file=sys.stderr)\nrun_program(lambda: main([{verb!r}, *sys.argv[1:]]))\n"
        )


def install() -> None:
    """Makes the old names importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
