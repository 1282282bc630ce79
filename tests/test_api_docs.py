"""The pages of docs/api are what `make docs` writes, and what they say of the stable names is true."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil

import numpy as np
import pytest
from checkout import load_program

import pose_gan
from pose_gan.config import ModelConfig
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator

make_api = load_program("docs/make_api.py")
NAMES = [(module, name) for module, names in make_api.STABLE.items() for name in names]


def test_the_pages_are_up_to_date():
    written = {path.name: path.read_text(encoding="utf-8") for path in make_api.FOLDER.glob("*.md")}
    assert written == make_api.pages(), "run `make docs`"


def test_every_link_leads_to_a_heading():
    pages = make_api.pages()
    anchors = {
        name: {line[3:].lower() for line in text.splitlines() if line.startswith("## ")} for name, text in pages.items()
    }
    for name, text in pages.items():
        for target, anchor in re.findall(r"\]\((\w+\.md)?(?:#(\w+))?\)", text):
            assert not anchor or anchor in anchors[target or name], (name, target, anchor)


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_stable_name_imports_and_is_described(module, name):
    text = make_api.docstring(make_api.find(module, name))
    assert text
    thing = getattr(importlib.import_module(module), name)
    assert not callable(thing) or inspect.getdoc(thing) == text


def described(thing) -> list[str]:
    """The arguments that a docstring names."""
    sections = make_api.sections(make_api.docstring(thing))
    return sorted(name for head, text in sections if head in ("Args", "Attributes") for name in make_api.items(text)[1])


def taken(thing) -> list[str]:
    """The arguments that a call takes, but for `**kwargs`, which go to the base class."""
    return sorted(argument.name for argument in make_api.parameters(thing) if argument.name != "kwargs")


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_docstrings_name_every_argument_and_no_other(module, name):
    thing = make_api.find(module, name)
    sections = make_api.sections(make_api.docstring(thing))
    for _, text in sections:
        assert not re.search(rf"\b({'|'.join(make_api.HEADS)}): ", text), "a head begins a line"
    if "Args and Returns" not in dict(sections):  # else they are those of another function
        attributes = [part.name for part in thing.members.values() if part.is_attribute and not part.docstring]
        assert described(thing) == (taken(thing) or sorted(attributes))
    for method in make_api.members(thing):
        assert described(method) in ([], taken(method))


def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/00000-market-mask"
    run.mkdir(parents=True)
    save_model(build_generator(ModelConfig(width=0.125)), run / "generator.h5")
    random = np.random.default_rng(0)
    source, target = random.integers(0, 64, (2, 1, 18, 2))
    given = {
        "pose_gan": pose_gan,
        "photo": random.integers(0, 256, (128, 64, 3), np.uint8),
        "pose_in_photo": source[0],
        "wanted_pose": target[0],
        "features": random.random((1, 64, 32, 4), np.float32),
        "source_keypoints": source,
        "target_keypoints": target,
    }
    for module, name in NAMES:
        for head, code in make_api.sections(make_api.docstring(make_api.find(module, name))):
            if head == "Example":
                exec(code, {**given, name: getattr(importlib.import_module(module), name)})


def test_a_name_that_leaves_must_be_in_the_changelog(tmp_path, monkeypatch):
    shutil.copytree(make_api.FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(make_api, "FOLDER", tmp_path)
    front = tmp_path / make_api.FRONT
    front.write_text(
        front.read_text(encoding="utf-8").replace("| --- |\n", "| --- |\n| [`pose_gan.gone`](x.md) | |\n"),
        encoding="utf-8",
    )
    with pytest.raises(SystemExit, match=r"pose_gan\.gone left the stable API"):
        make_api.main()
