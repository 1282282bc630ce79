"""The growth of the cost with the batch and with the image size."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmarks import geometry, inference, nn_loss, skip
from benchmarks.harness import Options, Table, time_in_turns
from benchmarks.inputs import SIZE, active_parts, part_geometry, pose_pairs, random_batch, size_text

BATCHES, QUICK_BATCHES = (1, 2, 4, 8), (1, 2)
SIZES, QUICK_SIZES = ((128, 64), (128, 128), (256, 256)), ((64, 64), (96, 64))
SIZES_BATCH = 2  # batch of the table of sizes
WINDOW, CHANNELS = 3, 64
WHAT = {"skip": "skips", "nn_loss": "NN loss", "geometry": "geometry", "inference": "inference"}


def run(options: Options) -> list[Table]:
    sizes, batches = (QUICK_SIZES, QUICK_BATCHES) if options.quick else (SIZES, BATCHES)
    width = inference.QUICK_WIDTH if options.quick else 1.0
    generate = {size: inference.make_generate(size, width)[0] for size in sizes}
    by_batch = [(sizes[0], batch) for batch in batches]
    by_size = [(size, SIZES_BATCH) for size in sizes]
    notes = [
        f"Milliseconds a call, and as a multiple of the first row. skips: all four, forward and backward; NN loss: "
        f"{WINDOW}x{WINDOW} on {CHANNELS} channels, forward and backward; geometry: heat maps, masks and transforms; "
        f"inference: width {width:g}."
    ]
    return [
        _table(f"Growth with the batch, {size_text(sizes[0])}", by_batch, generate, width, options, notes),
        _table(f"Growth with the image, batch {SIZES_BATCH}", by_size, generate, width, options, notes),
    ]


def _table(
    title: str, cases: list[tuple[SIZE, int]], generate: dict, width: float, options: Options, notes: list[str]
) -> Table:
    calls = {case: make_calls(*case, generate[case[0]], width) for case in cases}
    times = {}
    for what in WHAT:  # one kind after the other; the cases of a kind run in turns
        repeats = options.few_repeats if what == "inference" else options.repeats
        times[what] = time_in_turns({str(case): calls[case][what] for case in cases}, repeats)
    (first_height, first_width), first_batch = cases[0]
    rows: list[dict] = []
    for (height, columns), batch in cases:
        row: dict = {
            "size": size_text((height, columns)),
            "batch": batch,
            "pixels": height * columns * batch / (first_height * first_width * first_batch),
            "active": active_parts(part_geometry(batch, (height, columns))[1]),
        }
        for what in WHAT:
            row[f"{what}_ms"] = times[what][str(((height, columns), batch))].ms
            row[f"{what}_ratio"] = row[f"{what}_ms"] / times[what][str(cases[0])].ms
        rows.append(row)
    headings = {"size": "image", "batch": "batch", "pixels": "× pixels", "active": "masks a pixel"}
    for what, name in WHAT.items():
        headings |= {f"{what}_ms": f"{name}, ms", f"{what}_ratio": "×"}
    return Table(title, headings, rows, notes)


def make_calls(size: SIZE, batch: int, generate: Callable, width: float) -> dict[str, Callable[[], object]]:
    """One call of each kind."""
    channels = [int(number * width) for number in (64, 128, 256, 512)]
    levels = [(size[0] >> level, size[1] >> level, number) for level, number in enumerate(channels)]
    return {
        "skip": skip.make_calls("sparse", levels, size, batch)["both"],
        "nn_loss": nn_loss.make_calls("ours", [batch, *size, CHANNELS], WINDOW)["both"],
        "geometry": functools.partial(geometry.in_graph, *pose_pairs(batch, size), *size),
        "inference": functools.partial(generate, random_batch(batch, size)),
    }
