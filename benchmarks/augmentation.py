"""Images per second of `pose-gan reid augment`, against the generator alone, whose inputs lie in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Options, Table, time_in_turns
from benchmarks.inputs import SHAPE, size_text
from data_prep.people.dataset import PersonTask, save_images
from pose_gan.config import ModelConfig
from pose_gan.data.batches import iterate, ordered_batches
from pose_gan.evaluation.generation import BATCH_SIZE, generate_missing
from pose_gan.networks import build_generator, compiled
from pose_gan.poses.keypoints import write_annotations
from pose_gan.reid.augmentation import writer
from pose_gan.reid.augmentation_plan import Plan, plan_augmentation

PEOPLE, IMAGES, PER_IMAGE, WIDTH = 4, 4, 6, 1.0
QUICK = (2, 2, 2, 0.125)


def table(options: Options) -> Table:
    people, images, per_image, width = QUICK if options.quick else (PEOPLE, IMAGES, PER_IMAGE, WIDTH)
    with tempfile.TemporaryDirectory() as scratch:
        plan = _plan(Path(scratch), people, images, per_image)
        run, write = compiled(build_generator(ModelConfig(image_size=SHAPE, width=width))), writer(plan, Path(scratch))
        batches = list(iterate(ordered_batches(plan.data, BATCH_SIZE), plan.data))
        not_done = [False] * len(plan.files)
        forms = {
            "the generator alone": lambda: [np.asarray(run(batch)) for batch in batches],
            "augmentation: read, generate, write JPEG files": lambda: generate_missing(run, plan.data, not_done, write),
        }
        times = time_in_turns(forms, options.few_repeats, warm_up=1)
    alone = next(iter(times.values()))
    rows = [
        {
            "form": form,
            "seconds": timing.median,
            "rate": len(plan.files) / timing.median,
            "share": 100 * alone.median / timing.median,
            "best": 100 * alone.best / timing.best,
        }
        for form, timing in times.items()
    ]
    columns = {
        "form": "form",
        "seconds": "s",
        "rate": "images/s",
        "share": "% of the generator's rate",
        "best": "% in the best rounds",
    }
    title = f"Augmentation: {len(plan.files)} images {size_text(SHAPE)}, width {width:g}, batch {BATCH_SIZE}"
    return Table(title, columns, rows, ["Without the start: tracing the generator, and checking the files."])


def _plan(folder: Path, people: int, images: int, per_image: int) -> Plan:
    """An augmentation of drawn people."""
    drawn = [
        row
        for person in range(people)
        for row in save_images(PersonTask(0, 0, person, person + 1, images, SHAPE), folder=folder)
    ]
    annotations = folder / "annotations.csv"
    write_annotations(annotations, [row[0] for row in drawn], np.stack([row[1] for row in drawn]))
    return plan_augmentation(folder, annotations, SHAPE, per_image=per_image)
