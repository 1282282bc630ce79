"""`python -m benchmarks [NAME …]`: measures, prints tables, writes JSON."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Sequence
from typing import Any

from pose_gan.errors import InputError, run_program
from pose_gan.files.text import write_json

# Name → description, in the order in which they run. Each benchmark is a module with `run(options)`.
BENCHMARKS = {
    "skip": "deformable skip connections against the release's form",
    "nn_loss": "nearest-neighbour loss against stacked copies",
    "geometry": "heat maps, masks and transforms against NumPy and scikit-image",
    "step": "a whole training iteration, and where its time goes",
    "operators": "the convolutions of an iteration and their gradients, against matrix products",
    "devices": "processes and devices that train together, and the speed-up to expect of more",
    "inference": "images a second of the generator",
    "pipeline": "images a second of the input pipeline, against what training takes (after step)",
    "annotation": "images a second of a pose network, and decoding's share (with --pose_estimator, --images_dir)",
    "evaluation": "SSIM, mask-SSIM and L1 of a folder of strips against a loop with scikit-image",
    "reid": "ranking a gallery of Market-1501's size against NumPy and scikit-learn's distances",
    "keypoints": "import of keypoints of COCO and OpenPose against a plain loop",
    "study": "scores of a user study with bootstrap intervals against a loop over resamples",
    "page": "images a second of the page of pose-gan serve, against the generator alone",
    "ablation": "what an ablation costs beside the trainings and tests that it starts",
    "start": "seconds from the shell to the first picture of a generator, per format",
    "growth": "cost against batch and image size",
}
REPEATS, QUICK_REPEATS = 15, 2


def build_parser() -> argparse.ArgumentParser:
    width = max(map(len, BENCHMARKS))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Measures the package on this machine. What is compared is timed in turns, in one run; "
        "numbers are medians after warm-up. Leave the machine alone meanwhile.",
        epilog=f"benchmarks:\n{listed}\n\nexample:\n  python -m benchmarks step pipeline --json speed.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run? (default: full sizes)")
    parser.add_argument(
        "--repeats",
        type=int,
        metavar="ROUNDS",
        help=f"timed rounds; a third of them where a call takes seconds (default: {REPEATS}; quick: {QUICK_REPEATS})",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there (default: nowhere)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables (default: plain text)")
    parser.add_argument("--pose_estimator", metavar="FILE", help="OpenPose network for annotation (default: none)")
    parser.add_argument("--images_dir", metavar="DIR", help="photographs of one size for annotation (default: none)")
    parser.add_argument(
        "--iteration_ms",
        type=float,
        default=1400.0,
        metavar="MS",
        help="milliseconds of an iteration on one device, for the speed-up of several (default: 1400, two cores)",
    )
    parser.add_argument("--no_memory", action="store_true", help="leave out peak memory, a fresh process a form")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs benchmarks. Raises InputError for an unknown name, a bad number of rounds, or a file it cannot write."""
    flags = build_parser().parse_args(argv)
    names = list(dict.fromkeys(flags.names)) or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            raise InputError(f"benchmark {name!r} is not known; allowed: {', '.join(BENCHMARKS)}")
    if flags.repeats is not None and flags.repeats < 1:
        raise InputError(f"--repeats: got {flags.repeats}; give 1 or more")
    if not flags.iteration_ms > 0:
        raise InputError(f"--iteration_ms: got {flags.iteration_ms}; give a number above 0")
    from pose_gan import runtime

    runtime.start()  # TensorFlow loads here, not for --help
    from benchmarks import machine
    from benchmarks.harness import Options

    repeats = flags.repeats or (QUICK_REPEATS if flags.quick else REPEATS)
    options = Options(
        flags.quick, repeats, not flags.no_memory, flags.pose_estimator, flags.images_dir, flags.iteration_ms
    )
    result: dict[str, Any] = {
        "options": {"quick": options.quick, "repeats": options.repeats, "memory": options.memory},
        "machine": machine.describe_machine(),
        "matrix_product_gflops": {"side": options.matmul_side, "before": machine.matmul_rate(options)},
        "benchmarks": {},
    }
    rates = result["matrix_product_gflops"]
    print("\n".join([*machine.machine_lines(result["machine"]), _rate_line("before", rates)]), flush=True)
    if flags.json:
        write_json(flags.json, result)  # so that a bad path fails now, not after an hour
    for name in names:
        print(f"\n{name}: {BENCHMARKS[name]}", flush=True)
        started = time.perf_counter()
        tables = importlib.import_module(f"benchmarks.{name}").run(options)
        for table in tables:
            print(f"\n{table.to_text(flags.markdown)}", flush=True)
        seconds = time.perf_counter() - started
        result["benchmarks"][name] = {"seconds": seconds, "tables": [table.to_dict() for table in tables]}
        if flags.json:
            write_json(flags.json, result)
    rates["after"] = machine.matmul_rate(options)
    print(f"\n{_rate_line('after', rates)}")
    if flags.json:
        write_json(flags.json, result)
        print(f"numbers -> {flags.json}")
    return 0


def _rate_line(when: str, rates: dict[str, Any]) -> str:
    best, median = rates[when]["best"], rates[when]["median"]
    return f"float32 matrix product of {rates['side']}³, {when}: best {best:.0f}, median {median:.0f} GFLOP/s"


if __name__ == "__main__":
    run_program(main)
