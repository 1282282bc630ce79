"""The command `pose-gan`: every verb answers at once and quietly, old names work and say what replaces them."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys

import pytest
from checkout import ROOT
from PIL import Image

from pose_gan import moved
from pose_gan.__main__ import GROUPS, VERBS, main, whole_parser
from pose_gan.errors import InputError

EVERY_VERB = [[verb] for verb in VERBS.about if verb not in GROUPS]
EVERY_VERB += [[group, verb] for group, verbs in GROUPS.items() for verb in verbs.about]
HEAVY = ("tensorflow", "keras", "pandas", "scipy", "skimage", "jinja2", "mediapipe", "torch")


def python(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, **options)


def imported_by(arguments: list[str]) -> tuple[int, str, set[str]]:
    """Exit status and error output of the command, and which heavy packages it imported: what takes the time."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('IMPORTED', *({HEAVY!r} & sys.modules.keys()), file=sys.stderr))\n"
        "from pose_gan.__main__ import command\n"
        "command()\n"
    ).replace(repr(HEAVY), repr(set(HEAVY)))
    done = python("-c", script, *arguments)
    before, _, after = done.stderr.rpartition("IMPORTED")
    return done.returncode, before, set(after.split())


@pytest.mark.parametrize("verb", EVERY_VERB, ids=" ".join)
def test_help_imports_nothing_heavy(verb):
    code, errors, imported = imported_by([*verb, "--help"])
    assert (code, errors, imported) == (0, "", set())


@pytest.mark.parametrize("verb", EVERY_VERB, ids=" ".join)
def test_a_mistyped_flag_is_answered_as_quickly(verb):
    code, errors, imported = imported_by([*verb, "--mistyped_flag"])
    assert (code, imported) == (2, set())
    assert f"usage: pose-gan {' '.join(verb)}" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "market", "--images_dir", "none"], "none/train: no such folder of images"),
        (["train", "--dataset", "demo", "--generator_checkpoint", "none.h5"], "none.h5: no such model file or folder"),
        (["train", "--resume", "none"], "none: not the folder of a training run"),
        (["test", "--generator_checkpoint", "none.h5"], "none.h5: no such model file or folder"),
        (["info", "none.h5"], "none.h5: no such model file or folder"),
        (["convert", "none.h5", "out.keras"], "none.h5: no such model file or folder"),
        (["export", "none", "--format", "h5"], "none: no such model file or folder"),
        (["evaluate", "none"], "none: no such folder"),
        (["compare", "none"], "none: no such folder"),
        (["figure", "none", "--output", "f.png"], "none: no such folder"),
        (["ablate", "--images_dir", "none", "--output_dir", "none"], "none/train: no such folder of images"),
        (
            ["animate", "--generator", "g.h5", "--source", "none.jpg", "--targets", "none", "--output", "o.gif"],
            "--source none.jpg: no such file or folder",
        ),
        (["generate", "--source", "none.jpg", "--pose", "demo"], "--source none.jpg: no such file"),
        (["explain", "--source", "demo", "--pose", "none.jpg"], "--pose none.jpg: no such file"),
        (["data", "annotate", "--dataset", "d", "--pose_estimator", "demo", "--images_dir", "none"], "none"),
        (["data", "pairs", "--dataset", "d", "--annotations_dir", "none"], "none/d-annotation-train.csv: no such"),
        (["data", "check", "--dataset", "d", "--annotations_dir", "none", "--images_dir", "none"], "none"),
        (["train", "--skeleton", "none.json"], "none.json: no such skeleton file"),
        (["pears"], "pose-gan: no verb 'pears'; allowed: data, train"),
        (["data", "pears"], "pose-gan data: no verb 'pears'; allowed: demo"),
        (["reid", "pears"], "pose-gan reid: no verb 'pears'; allowed: augment"),
        (
            [
                "reid",
                "augment",
                "--images",
                "none",
                "--annotations",
                "a.csv",
                "--generator",
                "g.h5",
                "--output_dir",
                "o",
            ],
            "--images none: no such folder",
        ),
        (["reid", "table", "--images", "none", "--output_dir", "o"], "none: no such folder"),
    ],
    ids=" ".join,
)
def test_a_missing_file_is_answered_as_quickly(arguments, message):
    code, errors, imported = imported_by(arguments)
    assert code == 2
    assert "error: " in errors
    assert message in errors
    assert "Traceback" not in errors
    assert not imported & {"tensorflow", "keras"}


def test_what_a_model_file_knows_of_itself_is_read_without_tensorflow():
    code, errors, imported = imported_by(["info", "demo"])
    assert (code, errors) == (0, "")
    assert not imported & {"tensorflow", "keras", "pandas", "scipy"}


def test_each_verb_has_its_help_in_the_list_and_every_parser_joins_the_whole():
    whole = whole_parser().format_help()
    for verb, text in VERBS.about.items():
        assert f"  {verb} " in VERBS.usage()
        assert text in VERBS.usage()
        assert verb in whole


@pytest.mark.parametrize("module", ["pose_gan", "data_prep"])
def test_modules_run_as_the_command_does(module):
    done = python("-m", module, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: pose-gan ")


@pytest.mark.parametrize("program", ["train.py", "test.py"])
def test_the_programs_of_the_release_are_the_verbs(program):
    done = python(program, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: pose-gan {program.removesuffix('.py')}")


def test_completion_knows_verbs_and_flags(capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for word in ("--generator_checkpoint", "--nn_loss_area_size", "import-market", "--pose_estimator"):
        assert word in script


def test_completion_without_shtab_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(InputError, match=r"pip install .*completion"):
        main(["completion", "bash"])


# ---------------------------------------------------------------------------------- quiet, but not deaf


def test_the_start_of_tensorflow_is_quiet_and_warnings_are_shown():
    script = (
        "import logging, os, sys, warnings\n"
        "from pose_gan import runtime\n"
        "class Finder:\n"  # warns from C's side of the error output while TensorFlow is imported
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tensorflow': os.write(2, b'W0000 a real warning\\n')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runtime.start()\n"
        "import tensorflow as tf\n"
        "tf.constant(1.0) + 1\n"
        "tf.get_logger().warning('another')\n"
    )
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    assert "W0000 a real warning" in done.stderr
    assert "another" in done.stderr
    for note in ("oneDNN", "absl::InitializeLog", "cpu_feature_guard"):
        assert note not in done.stderr


def test_what_is_said_before_an_abort_is_seen():
    script = (
        "import os, sys\n"
        "from pose_gan import runtime\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tensorflow':\n"
        "            os.write(2, b'F0000 this processor will not do\\n')\n"
        "            os.abort()\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runtime.start()\n"
    )
    done = python("-c", script)
    assert done.returncode == -signal.SIGABRT
    assert "F0000 this processor will not do" in done.stderr


def test_ctrl_c_during_the_imports_ends_without_a_traceback():
    script = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tensorflow': os.kill(os.getpid(), signal.SIGINT)\n"
        "from pose_gan.__main__ import command\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.argv = ['pose-gan', 'convert', {str(ROOT / 'README.md')!r}, 'none.keras']\n"
        "command()\n"
    )
    done = python("-c", script)
    assert done.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------- names of 0.1


@pytest.mark.parametrize("old", moved.MODULES)
def test_modules_that_moved_import_as_before_and_say_where_to(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {moved.MODULES[old]}".replace(".", r"\.")) as caught:
        module = importlib.import_module(old)
    new = importlib.import_module(moved.MODULES[old])
    names = [name for name in vars(new) if not name.startswith("__")]
    assert all(getattr(module, name) is getattr(new, name) for name in names)
    assert new.__spec__ is not None
    assert new.__spec__.name == moved.MODULES[old]
    assert len(caught) == 1


@pytest.mark.parametrize("verb", moved.PROGRAMS)
def test_programs_that_moved_run_as_before(verb):
    done = python("-m", f"pose_gan.{verb}", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: pose-gan {verb}")
    assert done.stderr == f"note: python -m pose_gan.{verb} is now pose-gan {verb}; the old form goes with 0.3\n"


def test_programs_that_moved_run_to_their_end(tmp_path):
    """They import TensorFlow, which looks at all words of the command line."""
    for name in ("target", "generated"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (16, 16), "grey").save(tmp_path / name / "a.png")
    folders = ["--target", str(tmp_path / "target"), "--generated", str(tmp_path / "generated")]
    done = python("-m", "pose_gan.evaluate", *folders, "--metrics", "l1")
    assert done.returncode == 0, done.stderr
    assert "L1, lower is better" in done.stdout


def test_notes_on_the_input_are_one_line_each():
    script = (
        "import warnings\n"
        "from pose_gan.errors import InputWarning, run_program\n"
        "def main():\n"
        "    for _ in range(3): warnings.warn('rounded', InputWarning)\n"
        "    warnings.warn('another')\n"
        "run_program(main)\n"
    )
    done = python("-c", script)
    assert done.returncode == 0
    assert done.stderr.count("note: rounded\n") == 1
    assert done.stderr.splitlines()[0] == "note: rounded"
    assert "UserWarning: another" in done.stderr


@pytest.mark.parametrize("order", ["import keras, pose_gan", "import pose_gan, keras"])
def test_importing_the_package_makes_its_layers_known_to_keras(order):
    done = python("-c", f"{order}\nassert keras.saving.get_registered_object('pose_gan>DeformableSkip')")
    assert done.returncode == 0, done.stderr


def test_the_package_alone_imports_nothing_heavy():
    script = (
        "import sys, pose_gan\n"
        f"assert not {set(HEAVY)!r} & sys.modules.keys()\n"
        "assert pose_gan.geometry.heatmaps and pose_gan.load_generator and pose_gan.layers.DeformableSkip\n"
        "try: pose_gan.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    done = python("-c", script)
    assert done.stdout == "module 'pose_gan' has no attribute 'nothing'\n", done.stderr
