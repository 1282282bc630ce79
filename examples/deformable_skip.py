"""`DeformableSkip` in another network, for another task: it turns a noisy frame of a video into the clean next frame.

Textured shapes rotate, stretch and move from one frame to the next. Two U-Nets learn to draw the next frame. Both get
the noisy frame and the motion of each pixel. One U-Net has plain skip connections, which leave features at their old
places. In the other, `DeformableSkip` moves the features of each shape with the shape. The example takes half a minute
on two CPU cores. It needs no files, because it draws the scenes itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from pose_gan.errors import InputError, run_program
from pose_gan.layers import DeformableSkip
from pose_gan.poses.drawing import grid, to_uint8, write_image

SIZE = 48  # side of a frame, pixels
SHAPES = 3
PARTS = SHAPES + 1  # part 0 is the backdrop, which stands still
NOISE = 0.2  # standard deviation; colours are in [-1, 1]
CHANNELS = (16, 32, 64)  # channels of the networks at full, half and quarter resolution
BATCH = 8
TEST_SCENES, SHOWN = 64, 6
PIXELS = np.stack([*np.meshgrid(np.arange(SIZE), np.arange(SIZE)), np.ones((SIZE, SIZE))], axis=-1)  # (x, y, 1)
Scenes = dict[str, np.ndarray]


def draw_scenes(count: int, seed: int) -> Scenes:
    """Scenes of two frames each, as float32 arrays with `count` rows; see `draw_scene`."""
    random = np.random.default_rng(seed)
    scenes = [draw_scene(random) for _ in range(count)]
    return {key: np.stack([scene[key] for scene in scenes]).astype(np.float32) for key in scenes[0]}


def draw_scene(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Two frames, and the motion of the shapes between them.

    Returns:
        frame: the first frame with noise, `(SIZE, SIZE, 3)`.
        next_frame: the second frame without noise, `(SIZE, SIZE, 3)` in [-1, 1], which the networks learn to draw.
        transforms: `(PARTS, 8)`, for each part: from a place in the second frame to the same place of the part in the
            first, (x, y) in pixels. Transforms and masks have the form that `DeformableSkip` takes.
        masks: `(PARTS, SIZE, SIZE)`, 1 where a part is seen in the second frame and was not hidden in the first.
        motion: the same as a picture, `(SIZE, SIZE, 3)`: the distance to the place in the first frame, (x, y) in frame
            sides, and 1 where that place was visible.
    """
    backdrop = np.tanh(PIXELS @ random.uniform(-1, 1, (3, 3)) / SIZE)
    frames = [backdrop.copy(), backdrop.copy()]
    parts = [np.zeros((SIZE, SIZE), int), np.zeros((SIZE, SIZE), int)]  # the part that is seen at each pixel
    transforms = [np.eye(3)]
    for part in range(1, PARTS):
        turn, size, centre = random.uniform(0, 2 * np.pi), random.uniform(7, 11, 2), random.uniform(11, SIZE - 11, 2)
        turns = turn, turn + random.uniform(-1.5, 1.5)
        sizes = size, size * random.uniform(0.75, 1.3, 2)
        centres = centre, np.clip(centre + random.uniform(-12, 12, 2), 8, SIZE - 8)
        places = [place(*of_frame) for of_frame in zip(turns, sizes, centres, strict=True)]
        transforms.append(places[0] @ np.linalg.inv(places[1]))
        power, frequency, colours = random.choice([1, 2, 8]), random.uniform(3, 6, 2), random.uniform(-1, 1, (2, 3))
        for frame, seen, where in zip(frames, parts, places, strict=True):
            own = (PIXELS @ np.linalg.inv(where).T)[..., :2]  # the shape's own coordinates
            inside = (np.abs(own) ** power).sum(axis=-1) < 1  # a rhombus, an ellipse, or nearly a rectangle
            checks = np.tanh(3 * np.cos(own * frequency).prod(axis=-1, keepdims=True))
            frame[inside] = (colours.mean(axis=0) + checks * (colours[0] - colours[1]) / 2)[inside]
            seen[inside] = part  # a later shape hides the earlier ones
    looked_up = np.einsum("hwij,hwj->hwi", np.array(transforms)[parts[1]], PIXELS)[..., :2]
    x, y = np.moveaxis(np.rint(looked_up).astype(int), -1, 0)
    within = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    known = within & (parts[0][y.clip(0, SIZE - 1), x.clip(0, SIZE - 1)] == parts[1])
    return {
        "frame": frames[0] + random.normal(0, NOISE, frames[0].shape),
        "next_frame": frames[1],
        "transforms": np.array([[*transform[:2].ravel(), 0, 0] for transform in transforms]),
        "masks": known & (parts[1] == np.arange(PARTS)[:, None, None]),
        "motion": np.concatenate([(looked_up - PIXELS[..., :2]) / SIZE, known[..., None]], axis=-1),
    }


def place(turn: float, size: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The place of a shape: the affine matrix `(3, 3)` from its own coordinates to pixels, both (x, y, 1)."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos * size[0], -sin * size[1], centre[0]], [sin * size[0], cos * size[1], centre[1]], [0, 0, 1]])


def build_network(deformable: bool) -> keras.Model:
    """A U-Net from frame, motion, transforms and masks to the next frame. Both kinds have the same weights."""
    frame = keras.Input((SIZE, SIZE, 3), name="frame")
    motion = keras.Input((SIZE, SIZE, 3), name="motion")
    transforms = keras.Input((PARTS, 8), name="transforms")
    masks = keras.Input((PARTS, SIZE, SIZE), name="masks")

    # The maximum over parts includes the 0 outside of the masks. With ReLU, no feature is below 0.
    def convolution(features: keras.KerasTensor, channels: int, strides: int = 1) -> keras.KerasTensor:
        return layers.Conv2D(channels, 3, strides=strides, padding="same", activation="relu")(features)

    out, skips = frame, []
    for level, channels in enumerate(CHANNELS):
        out = convolution(out, channels, strides=1 if level == 0 else 2)
        out = skip = convolution(out, channels)
        if deformable:  # at every resolution, it takes the transforms and masks of the full frame
            skip = DeformableSkip(image_size=(SIZE, SIZE))([out, transforms, masks])
        skips.append(layers.Concatenate()([skip, layers.AveragePooling2D(2**level)(motion)]))
    out = convolution(skips.pop(), CHANNELS[-1])
    for channels in CHANNELS[-2::-1]:
        out = layers.Concatenate()([layers.UpSampling2D()(out), skips.pop()])
        out = convolution(convolution(out, channels), channels)
    return keras.Model([frame, motion, transforms, masks], layers.Conv2D(3, 3, padding="same")(out))


def train(deformable: bool, scenes: Scenes, epochs: int, seed: int) -> keras.Model:
    """Trains one of the two networks. With the same seed, both get the same first weights and order of scenes."""
    keras.utils.set_random_seed(seed)
    network = build_network(deformable)
    network.compile(keras.optimizers.Adam(2e-3), loss="mae")
    network.fit(inputs_of(scenes), scenes["next_frame"], batch_size=BATCH, epochs=epochs, verbose=0)
    return network


def inputs_of(scenes: Scenes) -> list[np.ndarray]:
    return [scenes[key] for key in ("frame", "motion", "transforms", "masks")]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--scenes", type=int, default=480, metavar="N", help="scenes to train on")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="how often to go through them")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of scenes and networks")
    parser.add_argument("--output", default="deformable_skip.png", metavar="PNG", help="picture to write")
    args = parser.parse_args(argv)
    if min(args.scenes, args.epochs) < 1 or args.seed < 0:
        raise InputError("--scenes and --epochs must be 1 or more, --seed 0 or more")

    scenes, new = draw_scenes(args.scenes, args.seed), draw_scenes(TEST_SCENES, args.seed + 1)
    target = new["next_frame"]
    shapes = new["masks"][:, 1:].any(axis=1)  # pixels of shapes that were visible in the first frame
    pictures = {"frame, noisy": new["frame"], "next frame": target}
    print(f"mean absolute error on {TEST_SCENES} new scenes (colours are in [-1, 1])")
    for deformable, name in ((False, "plain skips"), (True, "deformable")):
        network = train(deformable, scenes, args.epochs, args.seed)
        pictures[name] = network.predict(inputs_of(new), verbose=0)
        error = np.abs(pictures[name] - target)
        print(f"{name:12} moving shapes {error[shapes].mean():.3f}, whole frame {error.mean():.3f}", flush=True)
    rows = [[to_uint8(images[row]) for images in pictures.values()] for row in range(SHOWN)]
    write_image(args.output, grid(rows, tuple(pictures), scale=2))
    print(f"the first {SHOWN} of them -> {args.output}")


if __name__ == "__main__":
    run_program(main)
