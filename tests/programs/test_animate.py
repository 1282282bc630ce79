"""Animation: every frame is what the generator makes of its pose; gaps are filled; bad input has its message."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import imageio.v3 as iio
import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.config import AnimationConfig, ModelConfig
from pose_gan.data.video import open_clip
from pose_gan.errors import InputError
from pose_gan.estimators import Poses
from pose_gan.evaluation.animation import animate
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import draw_skeleton, to_float, to_uint8
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import Annotations, read_annotations, write_annotations
from pose_gan.poses.sequences import MAX_GAP, complete
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.programs import animate as program

SIZE = (96, 64)
FRAMES = 6


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return build_generator(ModelConfig(image_size=SIZE, width=0.125, warp_skip="none"))  # the quickest to trace


def standing() -> np.ndarray:
    """int32 `(18, 2)`: a person in an image of 96×64."""
    y = [12, 22, 22, 36, 48, 22, 36, 48, 50, 66, 84, 50, 66, 84, 10, 10, 12, 12]
    x = [32, 32, 24, 22, 20, 40, 42, 44, 27, 27, 27, 37, 37, 37, 30, 34, 28, 36]
    return np.array([y, x], np.int32).T


def walking(count: int = FRAMES) -> np.ndarray:
    """int32 `(T, 18, 2)`: the person goes to the right, a pixel a frame."""
    return standing() + np.arange(count, dtype=np.int32)[:, None, None] * [0, 1]


class Stub:
    """Knows the pose of an image by the red value of its first pixel."""

    name = "stub"
    preferred_batch = 4

    def __init__(self, poses: np.ndarray, skeleton: Skeleton = COCO18) -> None:
        self.poses = poses
        self.skeleton = skeleton
        self.batches: list[int] = []

    def __call__(self, images: np.ndarray) -> Poses:
        self.batches.append(len(images))
        keypoints = self.poses[images[:, 0, 0, 0]].astype(np.int32)
        return Poses(keypoints, np.all(keypoints >= 0, axis=-1).astype(np.float32))


@dataclasses.dataclass(frozen=True)
class Files:
    """A source image (number 0) and a folder with `FRAMES` frames (numbers from 0), all of `size`."""

    root: Path

    source = property(lambda self: self.root / "source.png")
    targets = property(lambda self: self.root / "frames")

    def make(self, size: tuple[int, int] = SIZE) -> Files:
        random = np.random.default_rng(0)
        self.targets.mkdir(parents=True)
        for number in range(FRAMES):
            image = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            image[0, 0] = number
            iio.imwrite(self.targets / f"{number}.png", image)
        image[0, 0] = 0
        iio.imwrite(self.source, image)
        return self


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path / "in").make()


def expected(generator: keras.Model, photo: np.ndarray, source_pose: np.ndarray, poses: np.ndarray) -> list[np.ndarray]:
    """The frames, uint8, straight from the generator."""
    photos = np.repeat(to_float(photo)[np.newaxis], len(poses), axis=0)
    sources = np.repeat(source_pose[np.newaxis], len(poses), axis=0)
    values = [tf.constant(value, tf.float32) for value in (photos, sources, poses)]
    return list(to_uint8(generator(values, training=False)))


def assert_close(images, others) -> None:
    assert len(images) == len(others)
    for image, other in zip(images, others, strict=True):
        assert image.shape == other.shape
        assert np.abs(image.astype(int) - other).max() <= 1


def test_each_frame_is_the_generators(files, tmp_path):
    """The paper's network; more frames than a batch, to a folder; the estimator gets its own batches."""
    generator = build_generator(ModelConfig(image_size=SIZE, width=0.125))
    stub = Stub(walking())
    motion = animate(generator, stub, files.source, files.targets, tmp_path / "out", AnimationConfig(batch_size=4))
    clip = open_clip(tmp_path / "out")
    assert clip.files == tuple(f"{number:06d}.png" for number in range(FRAMES))
    assert_close(list(clip), expected(generator, iio.imread(files.source), standing(), walking()))
    assert stub.batches == [1, 4, 2]
    np.testing.assert_array_equal(motion.keypoints, walking())
    assert motion.names == tuple(f"{number}.png" for number in range(FRAMES))
    assert (motion.empty, motion.filled) == (0, 0)


def test_side_by_side(generator, files, tmp_path):
    settings = AnimationConfig(side_by_side=True, keypoints_output=str(tmp_path / "kp" / "poses.csv"))
    animate(generator, Stub(walking()), files.source, files.targets, tmp_path / "out", settings)
    photo = iio.imread(files.source)
    generated = expected(generator, photo, standing(), walking())
    for number, picture in enumerate(open_clip(tmp_path / "out")):
        source, target, skeleton, image = np.split(picture, 4, axis=1)
        np.testing.assert_array_equal(source, photo)
        np.testing.assert_array_equal(target, iio.imread(files.targets / f"{number}.png"))
        np.testing.assert_array_equal(skeleton, draw_skeleton(walking()[number], SIZE))
        assert_close([image], [generated[number]])
    written = read_annotations(tmp_path / "kp" / "poses.csv")
    np.testing.assert_array_equal(written.keypoints, walking())


@pytest.mark.parametrize(
    "name",
    [
        "out.gif",
        pytest.param(
            "out.mp4", marks=pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="no extra [video]")
        ),
    ],
)
def test_moving_pictures(generator, files, tmp_path, name):
    animate(generator, Stub(walking()), files.source, files.targets, tmp_path / name, AnimationConfig(fps=10))
    clip = open_clip(tmp_path / name)
    assert clip.fps == 10
    assert [frame.shape for frame in clip] == [(*SIZE, 3)] * FRAMES


@pytest.mark.parametrize(("fps", "expected"), [(None, 20), (10, 10)])
def test_targets_from_a_gif_keep_their_rate_unless_another_is_asked_for(generator, files, tmp_path, fps, expected):
    images = [np.full((*SIZE, 3), 10 * number, np.uint8) for number in range(FRAMES)]
    iio.imwrite(tmp_path / "walk.gif", images, duration=50, loop=0)
    poses = walking().repeat(10, axis=0)  # as the frames' brightness counts
    settings = AnimationConfig(fps=fps)
    motion = animate(generator, Stub(poses), files.source, tmp_path / "walk.gif", tmp_path / "out.gif", settings)
    np.testing.assert_array_equal(motion.keypoints, walking())
    assert open_clip(tmp_path / "out.gif").fps == expected
    assert motion.names[:2] == ("walk-000000.png", "walk-000001.png")


def test_frames_without_a_rate_get_25_a_second(generator, files, tmp_path):
    animate(generator, Stub(walking()), files.source, files.targets, tmp_path / "out.gif")
    assert open_clip(tmp_path / "out.gif").fps == 25


def test_poses_alone(generator, files, tmp_path):
    """A CSV in place of frames, and one for the source: no estimator, no target frames to show."""
    names = [f"{number}.png" for number in range(FRAMES)]
    write_annotations(tmp_path / "poses.csv", names, walking())
    write_annotations(tmp_path / "source.csv", ["other.png", "source.png"], [standing() + 5, standing()])
    settings = AnimationConfig(source_keypoints=str(tmp_path / "source.csv"), side_by_side=True)
    animate(generator, None, files.source, tmp_path / "poses.csv", tmp_path / "out", settings)
    pictures = list(open_clip(tmp_path / "out"))
    assert pictures[0].shape == (SIZE[0], 3 * SIZE[1], 3)
    generated = expected(generator, iio.imread(files.source), standing(), walking())
    assert_close([picture[:, -SIZE[1] :] for picture in pictures], generated)


def test_annotations_go_before_the_estimator(generator, files, tmp_path):
    told = walking()[1:3] + 2
    write_annotations(tmp_path / "some.csv", ["1.png", "2.png"], told)
    stub = Stub(walking())
    motion = animate(
        generator,
        stub,
        files.source,
        files.targets,
        tmp_path / "out",
        AnimationConfig(annotations=str(tmp_path / "some.csv")),
    )
    np.testing.assert_array_equal(motion.keypoints[1:3], told)
    np.testing.assert_array_equal(motion.keypoints[[0, 3, 4, 5]], walking()[[0, 3, 4, 5]])
    assert sum(stub.batches) == 1 + FRAMES - 2


@pytest.mark.parametrize("fit", ["person", "letterbox", "stretch"])
def test_other_sizes_are_framed(generator, tmp_path, fit):
    """The source by itself; all targets by one rectangle, so that the motion stays."""
    files = Files(tmp_path / "in").make((200, 300))
    poses = walking() * 2
    animate(
        generator,
        Stub(poses),
        files.source,
        files.targets,
        tmp_path / "out",
        AnimationConfig(fit=fit, side_by_side=True),
    )
    frames = {
        "person": (Frame.around(poses[0], (200, 300), SIZE), Frame.around(poses, (200, 300), SIZE)),
        "letterbox": (Frame.letterbox((200, 300), SIZE),) * 2,
        "stretch": (Frame.stretch((200, 300), SIZE),) * 2,
    }[fit]
    photo, source_pose = frames[0].image(iio.imread(files.source)), frames[0].keypoints(poses[0])
    target_poses = frames[1].keypoints(poses)
    assert (target_poses >= 0).all()
    generated = expected(generator, photo, source_pose, target_poses)
    for number, picture in enumerate(open_clip(tmp_path / "out")):
        source, target, _, image = np.split(picture, 4, axis=1)
        np.testing.assert_array_equal(source, photo)
        np.testing.assert_array_equal(target, frames[1].image(iio.imread(files.targets / f"{number}.png")))
        assert_close([image], [generated[number]])


def test_poses_of_another_size_are_framed(generator, files, tmp_path):
    poses = walking() * 4
    write_annotations(tmp_path / "poses.csv", [f"{number}.png" for number in range(FRAMES)], poses)
    animate(generator, Stub(walking()), files.source, tmp_path / "poses.csv", tmp_path / "out")
    framed = Frame.around(poses, (400, 300), SIZE).keypoints(poses)
    assert_close(list(open_clip(tmp_path / "out")), expected(generator, iio.imread(files.source), standing(), framed))
    with pytest.raises(
        InputError, match=r"poses\.csv: has keypoints outside .* which letterbox needs; give --fit person"
    ):
        animate(
            generator,
            Stub(walking()),
            files.source,
            tmp_path / "poses.csv",
            tmp_path / "b",
            AnimationConfig(fit="letterbox"),
        )


# --------------------------------------------------------------------------------- missing joints


def completed(poses: np.ndarray):
    return complete(Annotations(tuple(map(str, range(len(poses)))), poses, "frames"), COCO18)


def test_missing_joints_come_from_the_frame_before():
    poses = walking()
    poses[2, 4] = -1
    poses[3:5] = -1  # nobody
    poses[0, 7] = -1
    motion = completed(poses)
    want = walking()
    want[2, 4] = want[1, 4]
    want[3] = want[4] = want[2]
    want[0, 7] = want[1, 7]
    np.testing.assert_array_equal(motion.keypoints, want)
    assert (motion.empty, motion.filled) == (2, 2)


def test_the_first_frames_may_be_empty():
    poses = walking()
    poses[:3] = -1
    motion = completed(poses)
    np.testing.assert_array_equal(motion.keypoints[:4], np.repeat(poses[3:4], 4, axis=0))
    assert motion.empty == 3


def test_joints_that_stay_away_are_hidden():
    """A nose that is gone for long is on the far side; the hips are needed, whatever happens."""
    nose, hip = COCO18.index("nose"), COCO18.index("Rhip")
    for gap in (MAX_GAP, MAX_GAP + 1):
        poses = walking(MAX_GAP + 10)
        poses[4 : 4 + gap, [nose, hip]] = -1
        motion = completed(poses)
        hidden = (motion.keypoints[4 : 4 + gap, nose] == -1).all()
        assert hidden == (gap > MAX_GAP)
        np.testing.assert_array_equal(motion.keypoints[4 : 4 + gap, hip], np.repeat(poses[3:4, hip], gap, axis=0))


def test_nobody_and_nothing_to_follow():
    with pytest.raises(InputError, match="frames: nobody was found in any of the 6 frames, so there is no motion"):
        completed(np.full((6, 18, 2), -1, np.int32))
    poses = walking()
    poses[:, COCO18.indices(("Rhip", "Lhip"))] = -1
    with pytest.raises(
        InputError, match="in none of the 6 frames was Rhip, Lhip found; the generator needs Rhip, Lhip"
    ):
        completed(poses)


def test_a_single_pose_gives_a_png_and_several_do_not(generator, files, tmp_path):
    write_annotations(tmp_path / "source.csv", ["source.png"], [standing()])
    settings = AnimationConfig(source_keypoints=str(tmp_path / "source.csv"))
    write_annotations(tmp_path / "poses.csv", ["0.png", "1.png"], walking(2))
    with pytest.raises(InputError, match=r"one\.png: a \.png holds one image, and there are 2 poses; give a \.gif"):
        animate(generator, None, files.source, tmp_path / "poses.csv", tmp_path / "one.png", settings)
    assert not (tmp_path / "one.png").exists()
    animate(generator, None, files.source, tmp_path / "poses.csv", tmp_path / "all", settings)
    write_annotations(tmp_path / "pose.csv", ["0.png"], walking(1))
    animate(generator, None, files.source, tmp_path / "pose.csv", tmp_path / "one.png", settings)
    np.testing.assert_array_equal(iio.imread(tmp_path / "one.png"), iio.imread(tmp_path / "all/000000.png"))


def test_a_drawn_person_walks_without_any_file(generator, tmp_path):
    motion = animate(generator, None, "demo", "demo", tmp_path / "walk.gif", AnimationConfig(side_by_side=True))
    assert len(motion.names) == 24
    assert np.all(motion.keypoints < SIZE)
    assert iio.improps(tmp_path / "walk.gif", index=None).shape[1:] == (SIZE[0], 3 * SIZE[1], 3)


# --------------------------------------------------------------------------------------- messages


def test_the_source_must_be_known(generator, files, tmp_path):
    def run(estimator=None, **settings):
        animate(generator, estimator, files.source, files.targets, tmp_path / "out", AnimationConfig(**settings))

    with pytest.raises(InputError, match=r"source\.png: its pose is not known; give --source_keypoints"):
        run()
    with pytest.raises(InputError, match=r"source\.png: stub: nobody was found in the source image"):
        run(Stub(np.full((FRAMES, 18, 2), -1)))
    poses = walking()
    poses[0, COCO18.index("Lhip")] = -1
    with pytest.raises(InputError, match=r"Lhip not found in the source image; the generator needs Rhip, Lhip, Lsho"):
        run(Stub(poses))
    csv = tmp_path / "kp.csv"
    write_annotations(csv, ["a.png"], [standing()])
    with pytest.raises(InputError, match=r"kp\.csv: has no row for source\.png, the source image"):
        run(source_keypoints=str(csv))
    write_annotations(csv, ["source.png"], [standing() * 2])
    with pytest.raises(InputError, match=r"row 2 \(source\.png\): keypoints outside of the image, which has 96x64"):
        run(source_keypoints=str(csv))
    assert not (tmp_path / "out").exists()


def test_the_targets_must_be_known(generator, files, tmp_path):
    source = tmp_path / "source.csv"
    write_annotations(source, ["source.png"], [standing()])

    def run(targets=files.targets, estimator=None, **settings):
        animate(
            generator,
            estimator,
            files.source,
            targets,
            tmp_path / "out",
            AnimationConfig(source_keypoints=str(source), **settings),
        )

    with pytest.raises(InputError, match=r"the pose of 0\.png is not known; give --annotations"):
        run()
    csv = tmp_path / "kp.csv"
    write_annotations(csv, ["other.png"], [standing()])
    with pytest.raises(InputError, match=r"kp\.csv: has no row for any frame of .*frames, such as 0\.png"):
        run(annotations=str(csv))
    write_annotations(csv, ["0.png"], [standing() * 2])
    with pytest.raises(InputError, match=r"row 2 \(0\.png\): keypoints outside of the image, which has 96x64"):
        run(annotations=str(csv))
    with pytest.raises(InputError, match=r"--annotations: the targets are poses already .*leave .*kp\.csv out"):
        run(targets=csv, annotations=str(csv))
    write_annotations(csv, [], [])
    with pytest.raises(InputError, match=r"kp\.csv: holds no poses"):
        run(targets=csv)
    with pytest.raises(InputError, match="nobody was found in any of the 6 frames"):
        run(estimator=Stub(np.full((FRAMES, 18, 2), -1)))
    assert not (tmp_path / "out").exists()


def test_other_skeletons_and_backgrounds(generator, files, tmp_path):
    other = dataclasses.replace(COCO18, name="dog", joints=tuple(reversed(COCO18.joints)))
    with pytest.raises(InputError, match="stub finds the joints of dog, the generator was trained on those of coco18"):
        animate(generator, Stub(walking(), other), files.source, files.targets, tmp_path / "out")
    with_background = build_generator(ModelConfig(image_size=SIZE, width=0.125, warp_skip="none", use_bg=True))
    with pytest.raises(InputError, match="takes a background image"):
        animate(with_background, Stub(walking()), files.source, files.targets, tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fit": "crop"}, "fit 'crop' is not known; allowed: person, letterbox, stretch"),
        ({"fps": 0.0}, "fps must be above 0 and at most 100, got 0.0"),
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        AnimationConfig(**values)


def test_a_failure_half_way_leaves_nothing(files, tmp_path):
    """A generator whose numbers overflow: the old file stays, no part of a new one."""
    broken = build_generator(ModelConfig(image_size=SIZE, width=0.125, warp_skip="none"))
    broken.get_layer("decoder_image").bias.assign([np.nan] * 3)
    (tmp_path / "out.gif").write_text("old")
    for name in ("out.gif", "out"):
        with pytest.raises(InputError, match=r"the generator's output is no image: .* not finite"):
            animate(broken, Stub(walking()), files.source, files.targets, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.gif"]
    assert (tmp_path / "out.gif").read_text() == "old"


# ---------------------------------------------------------------------------------------- program


def test_program(generator, files, tmp_path, monkeypatch, capsys):
    save_model(generator, tmp_path / "generator.h5")
    poses = walking()
    poses[3] = -1
    monkeypatch.setattr(program, "load_estimator", lambda path, config: Stub(poses))
    (tmp_path / "net.task").touch()
    flags = ["--generator", str(tmp_path / "generator.h5"), "--source", str(files.source)]
    flags += [
        "--targets",
        str(files.targets),
        "--output",
        str(tmp_path / "out.gif"),
        "--pose_estimator",
        str(tmp_path / "net.task"),
    ]
    program.main([*flags, "--keypoints_output", str(tmp_path / "kp.csv"), "--fps", "12.5", "--side_by_side", "1"])
    out = capsys.readouterr().out
    assert f"6 frames -> {tmp_path / 'out.gif'}; nobody was found in 1 of them" in out
    clip = open_clip(tmp_path / "out.gif")
    assert (clip.image_size, clip.fps) == ((SIZE[0], 4 * SIZE[1]), 12.5)
    poses[3] = poses[2]
    np.testing.assert_array_equal(read_annotations(tmp_path / "kp.csv").keypoints, poses)


def test_program_checks_before_it_loads(files, tmp_path):
    """None of these gets as far as the generator, which is not there."""

    def run(**changes):
        values = {"generator": "none.h5", "source": files.source, "targets": files.targets, "output": tmp_path / "o"}
        program.main([word for name, value in (values | changes).items() for word in (f"--{name}", str(value))])

    with pytest.raises(InputError, match=r"--source none\.png: no such file or folder"):
        run(source="none.png")
    with pytest.raises(InputError, match="--targets none: no such file or folder"):
        run(targets="none")
    with pytest.raises(InputError, match="--annotations none: no such file or folder"):
        run(annotations="none")
    with pytest.raises(InputError, match=r"a\.avi: give a name that ends in \.gif or \.mp4"):
        run(output="a.avi")
    with pytest.raises(InputError, match=r"none\.h5: no such model file"):
        run()


def test_help_shows_defaults(capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    for text in (
        "pose-gan animate",
        "--fit {person,letterbox,stretch}",
        "(default: person)",
        "--colour_order",
    ):
        assert text in out
