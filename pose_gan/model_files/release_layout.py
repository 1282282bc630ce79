"""The order in which the authors' release stores its networks' arrays in a file (Keras 2.0.8, HDF5).

A file holds the arrays of each layer that has weights. Their order is the layers' depth in the release's graph, which
interleaves the two encoders.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from pose_gan.config import ModelConfig
from pose_gan.networks import DISCRIMINATOR_BLOCKS, DROPOUT_BLOCKS, STN_UNITS, WARPED_SKIPS, filters

SIZES = {6: (128, 64), 7: (256, 256)}  # encoder levels → the release's image size; weights show only the levels

Shape = tuple[int, ...]


class Entry(NamedTuple):
    """The arrays of one layer of the release, and the layers of our network that take them.

    shapes: shapes of the arrays, in the order of the file.
    layers: names of our layers that take them, in order; none: the arrays repeat those of an earlier layer.
    """

    shapes: list[Shape]
    layers: tuple[str, ...]


def generator_layout(config: ModelConfig) -> list[Entry]:
    """The layers of the release's generator that have weights, in the order of its files."""
    encoder, decoder = filters(config)
    appearance = 3 + config.pose_channels * config.use_input_pose
    if config.warp_skip == "none":
        streams = {"encoder": appearance + config.pose_channels}
    else:
        streams = {"appearance": appearance, "pose": config.pose_channels + 3 * config.use_bg}
    entries = []
    for level, count in enumerate(encoder):
        for name, channels in streams.items():
            kernel = (4, 4, encoder[level - 1], count) if level else (3, 3, channels, count)
            entries.append(Entry([kernel] if level else [kernel, (count,)], (f"{name}_{level}",)))
        if 0 < level < len(encoder) - 1:
            entries += [_norm(f"{name}_norm_{level}") for name in streams]
    below = len(streams) * encoder[-1]
    nets = iter(_localisation_nets())
    for block, count in enumerate(decoder):
        entries.append(Entry([(4, 4, count, below)], (f"decoder_{block}",)))
        following = [_norm(f"decoder_norm_{block}")]
        level = len(encoder) - 2 - block  # the level of the skip that joins this block's output
        if config.warp_skip == "stn" and level < WARPED_SKIPS:
            following.append(next(nets))  # it has the depth of the layers before the block's last one
        entries += following if block < DROPOUT_BLOCKS else following[::-1]
        below = count + len(streams) * encoder[level]
    return [*entries, Entry([(3, 3, below, 3), (3,)], ("decoder_image",))]


def _localisation_nets() -> Iterator[Entry]:
    """The shared localisation network of `stn`. The file repeats it in each of the four layers that use it."""
    sizes = [72, *STN_UNITS, 6]
    shapes = [shape for i, o in itertools.pairwise(sizes) for shape in ((i, o), (o,))]
    yield Entry(shapes, (*(f"stn_{units}" for units in STN_UNITS), "stn_transform"))
    yield from itertools.repeat(Entry(shapes, ()))


def discriminator_layout(config: ModelConfig) -> list[Entry]:
    """The layers of the release's discriminator that have weights, in the order of its files."""
    source = 3 + config.pose_channels * config.use_input_pose
    target = 3 + config.pose_channels
    first = config.channels(64)
    if config.disc_type == "warp":
        entries = [_first("source", source, first), _first("target", target, first)]
    elif config.disc_type == "sim":
        entries = [_first("tower", target, first)]
    else:
        entries = [_first("joint", source + target + 3 * config.use_bg, first)]
    below = first * len(entries)
    for count in DISCRIMINATOR_BLOCKS:
        channels = config.channels(count)
        entries += [Entry([(4, 4, below, channels)], (f"block_{count}",)), _norm(f"block_norm_{count}")]
        below = channels
    if config.disc_type != "sim":
        return [*entries, Entry([(4, 4, below, 1)], ("block_1",))]
    tower = Entry([shape for entry in entries for shape in entry.shapes], ("tower",))  # Keras counts it as one layer
    return [tower, Entry([(2 * below * _cells(config), 1), (1,)], ("logits",))]


def _cells(config: ModelConfig) -> int:
    """Number of cells in the map after four 4×4 convolutions with stride 2, of which the first has no padding."""
    height, width = ((side - 4) // 2 + 1 for side in config.image_size)
    for _ in DISCRIMINATOR_BLOCKS:
        height, width = (height - 2) // 2 + 1, (width - 2) // 2 + 1
    return height * width


def _first(name: str, channels: int, count: int) -> Entry:
    return Entry([(4, 4, channels, count), (count,)], (name,))


def _norm(name: str) -> Entry:
    return Entry([(1,), (1,)], (name,))


def layout_of(kind: str, config: ModelConfig) -> list[Entry]:
    return generator_layout(config) if kind == "generator" else discriminator_layout(config)
