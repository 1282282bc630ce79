"""The house: a wing imports only from wings below it, and no modules import each other in a circle."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest
from checkout import ROOT

# From the bottom to the top; wings in one line do not know each other.
STOREYS = (
    ("errors", "versions"),
    ("runtime", "moved", "people"),
    ("files",),
    ("poses",),
    ("config",),
    ("presets",),
    ("data",),
    ("estimators",),
    ("metrics",),
    ("geometry",),
    ("layers",),
    ("networks", "losses"),
    ("model_files",),
    ("training",),
    ("evaluation",),
    ("reid", "study"),
    ("web",),
    ("programs",),
    ("data_prep",),
    ("__main__",),
)
HEIGHT = {wing: height for height, wings in enumerate(STOREYS) for wing in wings}
TOP = ("pose_gan/__init__.py",)  # only makes names of all wings importable
LONGEST = 350  # lines of a module
MODULES = sorted([*ROOT.glob("pose_gan/**/*.py"), *ROOT.glob("data_prep/**/*.py")])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


def wing_of(module: str) -> str:
    first, _, rest = module.partition(".")
    if module.startswith("data_prep.people"):
        return "people"
    return first if first == "data_prep" else rest.split(".")[0]


def imports_of(path: Path) -> set[str]:
    """The modules of ours that a module imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    package = {f"{name_of(path).rpartition('.')[0]}"}  # `from wing import module` is of the module
    return {name for name in found if name in NAMES} - package - {"pose_gan", name_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_below_and_is_short(path):
    relative = path.relative_to(ROOT).as_posix()
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    wing = wing_of(name_of(path))
    if relative in TOP:
        return
    assert wing in HEIGHT, f"{relative}: give the wing its place in STOREYS, and in CONTRIBUTING.md"
    for imported in imports_of(path):
        below = wing_of(imported)
        allowed = below == wing or HEIGHT[below] < HEIGHT[wing]
        assert allowed, f"{relative} imports {imported}, which stands above it or beside it"


def test_no_circles():
    graph = {name_of(path): imports_of(path) for path in MODULES if path.name != "__init__.py"}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them
    assert len(graph) > 80


def test_the_house_would_notice(tmp_path, monkeypatch):
    """A module below that imports one above is found, inside of functions too."""
    path = ROOT / "pose_gan/files/images.py"
    copy = tmp_path / "pose_gan/files/images.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(path.read_text() + "\n\ndef f():\n    from pose_gan.networks import build_generator\n")
    monkeypatch.setattr("test_house.ROOT", tmp_path)
    with pytest.raises(AssertionError, match=r"files/images\.py imports pose_gan\.networks, which stands above"):
        test_a_module_imports_only_from_below_and_is_short(copy)


def test_the_map_names_every_wing():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for wings in STOREYS:
        for wing in wings:
            assert f"`{wing}" in text or f"/{wing}" in text, wing
