"""A fresh process that draws one picture as `pose-gan generate` does.

It prints the seconds of each part, and the processor's seconds in all (`cpu`), as JSON.

`benchmarks/start.py` runs it: `python benchmarks/first_picture.py STARTED GENERATOR OUTPUT FORM`, where STARTED is
the time at which the process was started, in seconds since 1970, and FORM is `eager` or `graph`.
"""

from __future__ import annotations

import json
import sys
import time

started, generator, output, form = float(sys.argv[1]), *sys.argv[2:5]
times: dict[str, float] = {}


def lap(part: str) -> None:
    times[part] = time.time() - started - sum(times.values())


if __name__ == "__main__":
    from pose_gan.programs import generate

    args = generate.build_parser().parse_args(
        ["--source", "demo", "--pose", "demo", "--generator", generator, "--output", output]
    )
    lap("start")

    from pose_gan import runtime
    from pose_gan.model_files.opening import needs_tensorflow, open_generator

    if needs_tensorflow(generator):
        runtime.start()
    lap("tensorflow")

    if form == "graph":
        from pose_gan.model_files.saving import load_generator, settings_of
        from pose_gan.networks import compiled

        model = load_generator(generator)
        run, settings = compiled(model), settings_of(model)
    else:
        run, settings = open_generator(generator)
    lap("open")

    from pose_gan.evaluation.transfer import open_scene

    scene = open_scene("demo", ["demo"], settings)
    lap("scene")

    images = scene.generate(run)
    lap("generate")

    from pose_gan.poses.drawing import write_image

    write_image(output, scene.sheet(images))
    lap("write")
    print(json.dumps(times | {"cpu": time.process_time()}))
