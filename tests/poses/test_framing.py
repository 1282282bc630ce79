"""Frames: a marked pixel must land where its keypoint does, whatever the frame."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.poses.framing import MARGIN, Frame
from pose_gan.poses.keypoints import found, read_annotations

SIZE = (128, 64)
POSE = np.array([[40, 50], [90, 55], [-1, -1], [60, 30], [70, 80], [200, -1]])


def frames(image_size, size=SIZE):
    """Every kind of frame for an image in which `POSE` lies."""
    return {
        "stretch": Frame.stretch(image_size, size),
        "letterbox": Frame.letterbox(image_size, size),
        "filled letterbox": Frame.letterbox(image_size, size, fill=(0, 0, 0)),
        "cover": Frame.cover(image_size, size),
        "crop": Frame.crop(image_size, (7, 3, 0, 12), size),
        "around": Frame.around(POSE, image_size, size),
        "tight around": Frame.around(POSE, image_size, size, margin=0),
        "around a joint": Frame.around(POSE[:1], image_size, size),
        "wide around": Frame.around(POSE, image_size, size, margin=0.4),
        "scaled around": Frame.around(POSE, image_size, size, scale=0.7),
    }


KINDS = list(frames((100, 100)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image_size", [(128, 64), (97, 101), (333, 90), (120, 1000)])
def test_marked_pixels_land_where_the_keypoints_do(kind, image_size):
    frame = frames(image_size)[kind]
    random = np.random.default_rng(0)
    tried = 0
    points = random.integers(1, np.array(image_size) - 1, (12, 2))  # not the border, which goes on outside
    for point in [*points, POSE[0]]:
        image = np.zeros((*image_size, 3), np.uint8)
        image[tuple(point)] = 255
        framed = frame.image(image)[..., 0].astype(int)
        assert framed.shape == frame.size
        landed = frame.keypoints(point)
        if landed[0] < 0:
            continue
        # Shrunk very much, a pixel is too faint to be seen in 8 bits: then it is seen nowhere.
        brightest = framed.max()
        if brightest > 2:
            tried += 1
            rows, columns = np.nonzero(framed >= brightest - 1)
            away = np.maximum(abs(rows - landed[0]), abs(columns - landed[1])).min()
            scale = max(1, frame.size[0] / frame.box[2], frame.size[1] / frame.box[3])
            assert away <= scale / 2, (point, landed, away)
    assert tried or max(image_size) > 300


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (96, 96)])
def test_equal_sizes_change_nothing(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    points = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij"), axis=-1)
    for frame in (
        Frame.stretch(size, size),
        Frame.letterbox(size, size),
        Frame.cover(size, size),
        Frame.crop(size, (0, 0, 0, 0), size),
    ):
        np.testing.assert_array_equal(frame.image(image), image)
        np.testing.assert_array_equal(frame.keypoints(points), points)
        np.testing.assert_array_equal(frame.inverse_keypoints(points), points)


def test_the_image_is_the_caller_s_own():
    image = np.zeros((128, 64, 3), np.uint8)
    Frame.stretch((128, 64), SIZE).image(image)[:] = 255
    assert image.max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_round_trips(kind):
    """Enlarged, every joint comes back; shrunk, it comes back to within half an output pixel."""
    for image_size in ((40, 30), (120, 100), (400, 700)):
        frame = frames(image_size)[kind]
        points = np.random.default_rng(1).integers(0, image_size, (200, 2))
        there = frame.keypoints(points)
        inside = found(there)
        assert inside.any() or kind != "stretch"
        back = frame.inverse_keypoints(there)
        assert (back[~inside] == -1).all()
        pixels = np.array(frame.box[2:]) / frame.size  # of the image, an output pixel
        came_back = inside & found(back)  # the centre of a border pixel may lie outside of the image
        limit = np.maximum(pixels / 2, 0) + 1e-9
        exact = np.where(pixels < 1, 0, limit + 0.5)
        assert (abs(back - points)[came_back] <= exact).all()
        assert came_back.sum() >= 0.9 * inside.sum()


def test_a_scale_holds_for_every_image():
    """A far and a near joint keep their distance, times the scale, wherever the animal is."""
    for shift in (0, 35, 90):
        pose = np.array([[10, 20], [50, 60]]) + shift
        frame = Frame.around(pose, (200, 300), (64, 64), scale=0.5)
        np.testing.assert_array_equal(frame.keypoints(pose), [[22, 22], [42, 42]])
        assert frame.box[2:] == (128, 128)
    with pytest.raises(InputError, match="scale must be above 0 and at most 8, got 0"):
        Frame.around(pose, (200, 300), (64, 64), scale=0)


def test_missing_stays_missing_and_what_falls_outside_is_missing():
    frame = Frame.crop((256, 256), (40, 40, 0, 0), SIZE)
    keypoints = np.array([[10, 39], [10, 40], [10, 215], [10, 216], [-1, 100], [100, -1], [-1, -1], [255, 100]])
    framed = frame.keypoints(keypoints)
    assert framed.dtype == np.int32
    np.testing.assert_array_equal(found(framed), [False, True, True, False, False, False, False, True])
    np.testing.assert_array_equal(framed[[1, 2, 7]], [[5, 0], [5, 63], [127, 22]])
    assert (framed[~found(framed)] == -1).all()
    batch = np.stack([keypoints, keypoints[::-1]])
    np.testing.assert_array_equal(frame.keypoints(batch), [framed, framed[::-1]])


def test_the_release_s_numbers_within_a_pixel():
    """fashion128: `int((v − crop) · ratio)`."""
    frame = Frame.crop((256, 256), (40, 40, 0, 0), SIZE)
    points = np.stack(np.meshgrid(np.arange(256), np.arange(40, 216), indexing="ij"), axis=-1)
    release = ((points - (0, 40)) * np.array([128 / 256, 64 / 176])).astype(int)
    difference = frame.keypoints(points) - release
    assert difference.min() == 0
    assert difference.max() == 1
    assert (difference[..., 0] == 0).all()  # rows are halved


def test_the_release_s_image():
    """A crop is what it says, up to the filter's reach over the cut."""
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    expected = Image.fromarray(image[:, 40:216]).resize((64, 128), Image.Resampling.LANCZOS)
    framed = Frame.crop((256, 256), (40, 40, 0, 0), SIZE).image(image)
    np.testing.assert_array_equal(framed[:, 4:-4], np.asarray(expected)[:, 4:-4])


def test_letterbox_and_cover_keep_the_aspect():
    for image_size in ((100, 300), (300, 100), (17, 5), (128, 64), (1, 1), (1, 4000)):
        for make in (Frame.letterbox, Frame.cover):
            _, _, height, width = make(image_size, SIZE).box
            assert height / width == pytest.approx(2)
        top, left, height, width = Frame.letterbox(image_size, SIZE).box
        assert max(top, left) <= 0
        assert height >= image_size[0]
        assert width >= image_size[1]
        top, left, height, width = Frame.cover(image_size, SIZE).box
        assert min(top, left) >= 0
        assert top + height <= image_size[0]
        assert left + width <= image_size[1]


def test_what_lies_outside_is_the_border_or_a_colour():
    image = np.zeros((64, 64, 3), np.uint8)
    image[0], image[-1] = (200, 0, 0), (0, 0, 200)
    image[1:-1] = (0, 200, 0)
    framed = Frame.letterbox((64, 64), SIZE).image(image)
    assert (framed[:28] == (200, 0, 0)).all()
    assert (framed[-28:] == (0, 0, 200)).all()
    np.testing.assert_array_equal(framed[32:96], image)
    filled = Frame.letterbox((64, 64), SIZE, fill=(1, 2, 3)).image(image)
    assert (filled[:32] == (1, 2, 3)).all()
    assert (filled[96:] == (1, 2, 3)).all()
    np.testing.assert_array_equal(filled[32:96], image)


@pytest.mark.parametrize("image_size", [(1, 1), (1, 60000), (60000, 1), (3, 2)])
@pytest.mark.parametrize("fill", [None, (10, 20, 30)])
def test_extreme_shapes_take_little_memory(image_size, fill):
    image = np.full((*image_size, 3), (10, 20, 30), np.uint8)
    for frame in (
        Frame.letterbox(image_size, SIZE, fill),
        Frame.cover(image_size, SIZE),
        Frame.stretch(image_size, SIZE),
        Frame.around(np.array([[0, 0], np.array(image_size) - 1]), image_size, SIZE, fill=fill),
    ):
        assert (frame.image(image) == (10, 20, 30)).all()


def test_a_frame_that_lies_beside_the_image_shows_its_corner():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (Frame((20, 30), (4, 4), (-50, -60, 8, 8)).image(image) == image[0, 0]).all()
    assert (Frame((20, 30), (4, 4), (50, 60, 8, 8)).image(image) == image[-1, -1]).all()


def test_around_holds_every_joint_of_every_pose_in_the_middle():
    random = np.random.default_rng(0)
    for _ in range(50):
        poses = random.integers(0, (400, 300), (random.integers(1, 4), 18, 2))
        poses[random.random(poses.shape[:2]) < 0.3] = -1
        margin = random.uniform(0, 0.4)
        frame = Frame.around(poses, (400, 300), SIZE, margin)
        framed = frame.keypoints(poses)
        np.testing.assert_array_equal(found(framed), found(poses))
        joints = framed[found(framed)]
        low, high = joints.min(axis=0), np.array(SIZE) - 1 - joints.max(axis=0)
        assert (abs(low - high) <= 2).all()  # centred
        free = np.minimum(low, high) / SIZE
        assert (free >= margin - 1.5 / np.array(SIZE)).all()
        assert (free - margin).min() <= 1.5 / 64  # one axis is filled
        assert frame.box[2] / frame.box[3] == pytest.approx(2)


def test_around_does_not_blow_up_a_single_joint():
    frame = Frame.around(np.array([[50, 60]]), (100, 100), SIZE)
    assert frame.box[2:] == (16, 8)
    np.testing.assert_array_equal(frame.keypoints(np.array([[50, 60]])), [[64, 32]])


def test_around_nobody():
    with pytest.raises(InputError, match="no joint was found, so there is nobody to frame"):
        Frame.around(np.full((2, 18, 2), -1), (100, 100), SIZE)
    for margin in (-0.1, 0.5, float("nan")):
        with pytest.raises(InputError, match=rf"margin must be 0 to 0\.4, got {margin}"):
            Frame.around(POSE, (100, 100), SIZE, margin)


@pytest.mark.parametrize("borders", [(50, 50, 0, 0), (0, 0, 100, 0), (-1, 0, 0, 0)])
def test_borders_that_leave_nothing(borders):
    with pytest.raises(InputError, match=r"borders of .* leave nothing of an image of 100x100 pixels"):
        Frame.crop((100, 100), borders, SIZE)


def test_bad_sizes():
    with pytest.raises(InputError, match=r"a frame needs sides of 1 pixel or more, got an image of 0x5, an output of"):
        Frame.stretch((0, 5), SIZE)
    with pytest.raises(InputError, match="a rectangle of 0x4"):
        Frame((5, 5), SIZE, (0, 0, 0, 4))


@pytest.mark.parametrize(
    "image", [np.zeros((10, 11, 3), np.uint8), np.zeros((10, 10), np.uint8), np.zeros((10, 10, 3), np.float32)]
)
def test_another_image(image):
    with pytest.raises(InputError, match=r"the frame takes uint8 images of 10x10x3 .*, got (uint8|float32) 10x1"):
        Frame.stretch((10, 10), SIZE).image(image)


def test_around_keeps_real_market_people_as_they_are(shared_data):
    """Market-1501's own crops are the model for the margin: a frame around the joints is nearly the image."""
    table = read_annotations(shared_data / "market-sample" / "market-annotation-train.csv")
    whole = found(table.keypoints).sum(axis=1) == 18
    boxes = [Frame.around(pose, SIZE, SIZE, MARGIN).box for pose in table.keypoints[whole]]
    top, left, height, _ = np.median(boxes, axis=0)
    assert max(abs(top), abs(left)) < 8
    assert 115 < height < 141
