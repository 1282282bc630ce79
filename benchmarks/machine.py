"""A description of the machine on which the numbers were measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port  # no public module has IsMklEnabled

from benchmarks.harness import Options, matrix_product, time_in_turns
from pose_gan.versions import versions


def describe_machine() -> dict[str, Any]:
    """CPU, memory, GPUs, threads, versions and load, as JSON values."""
    threads = tf.config.threading
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in _gpus()],
        "system": f"{platform.system()} {platform.release()}",
        "onednn": bool(_pywrap_util_port.IsMklEnabled()),
        "threads": {  # 0: one per core
            "inter_op": threads.get_inter_op_parallelism_threads(),
            "intra_op": threads.get_intra_op_parallelism_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions(),
    }


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """The description as lines of text."""
    threads, load = machine["threads"], machine["load_average"]
    counts = ", ".join(f"{name} {value or 'default'}" for name, value in threads.items())
    memory = "unknown" if machine["memory_gb"] is None else f"{machine['memory_gb']:.1f} GB"
    return [
        f"machine   {machine['cpu']}, {machine['cores']} cores, {memory}, {machine['system']}, "
        f"GPUs: {', '.join(machine['gpus']) or 'none'}",
        f"software  {', '.join(f'{name} {version}' for name, version in machine['versions'].items())}",
        f"settings  oneDNN {'on' if machine['onednn'] else 'off'}; threads: {counts}; "
        f"load average at the start {'unknown' if load is None else f'{load:.2f}'}",
    ]


def matmul_rate(options: Options) -> dict[str, float]:
    """The current float32 matrix-product rate of this machine: GFLOP/s, `best` and `median`."""
    product, gflop = matrix_product(options.matmul_side)
    timing = time_in_turns({"product": product}, options.repeats)["product"]
    return {"best": gflop / timing.best, "median": gflop / timing.median}


def _gpus() -> list[Any]:
    return tf.config.list_physical_devices("GPU")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None
