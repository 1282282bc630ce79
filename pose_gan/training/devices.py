"""Which devices train: the flag `--devices`, and the workers of a cluster. Needs no TensorFlow."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from pose_gan.errors import InputError, InputWarning

ALLOWED = (
    "auto, cpu, all, a number of GPUs such as 2, GPUs by their numbers such as 0,2 or GPU:0,GPU:2, or CPU:0,CPU:1; "
    "slurm under srun"
)
EXAMPLE = '{"type": "worker", "index": 0}'


@dataclass(frozen=True)
class Devices:
    """A choice of devices.

    Attributes:
        kind: `GPU` or `CPU`; None: a GPU if there is one.
        numbers: which ones; None: all.
        slurm: whether the tasks that srun started train together.
    """

    kind: str | None = None
    numbers: tuple[int, ...] | None = (0,)
    slurm: bool = False


def devices(text: str) -> Devices:
    """The devices that a value of the flag means. Raises InputError: it means none."""
    words = text.strip()
    if words in ("auto", "slurm"):
        return Devices(slurm=words == "slurm")
    if words in ("cpu", "all"):
        return Devices("CPU") if words == "cpu" else Devices("GPU", None)
    if re.fullmatch(r"[1-9]\d{0,3}", words):
        return Devices("GPU", tuple(range(int(words))))
    found = [re.fullmatch(r"(?:(GPU|CPU):)?(\d{1,4})", word.strip(), re.IGNORECASE) for word in words.split(",")]
    places = [match and ((match[1] or "GPU").upper(), int(match[2])) for match in found]
    if None in places or words == "0" or len({place[0] for place in places if place}) > 1:
        raise InputError(f"{text!r} names no devices; allowed: {ALLOWED}")
    numbers = tuple(place[1] for place in places if place)
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{text!r} names a device twice")
    return Devices(places[0][0] if places[0] else None, numbers)


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        addresses: `host:port` of each, the chief first.
        index: the number of this one.
        on_machine: its number among those of its machine.
    """

    addresses: tuple[str, ...]
    index: int
    on_machine: int = 0


def cluster_of(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that `TF_CONFIG` describes; None: there is none, or it has one process.

    Raises: InputError: it cannot be read, does not say which process this is, or has other tasks than workers and a
        chief.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        content = json.loads(text)
        jobs, task = content.get("cluster", {}), content.get("task", {})
        addresses = {job: [str(address) for address in places] for job, places in jobs.items()}
        kind, index = str(task.get("type")), int(task.get("index", -1))
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"TF_CONFIG: no description of a cluster ({error})") from None
    others = sorted(set(addresses) - {"chief", "worker"})
    if others:
        raise InputError(f"TF_CONFIG: tasks {', '.join(others)} have nothing to do here; allowed: worker, chief")
    if content and not jobs:
        warnings.warn("TF_CONFIG has no 'cluster', so this process trains alone", InputWarning, stacklevel=2)
    if sum(map(len, addresses.values())) <= 1:
        return None
    chiefs, workers = addresses.get("chief", []), addresses.get("worker", [])
    if not {"type", "index"} <= set(task):
        raise InputError(f"TF_CONFIG: which worker is this? Expected a task such as {EXAMPLE}, got {task}")
    if kind not in addresses or not 0 <= index < len(addresses[kind]):
        raise InputError(f"TF_CONFIG: there is no {kind} {index} in the cluster {addresses}; numbers begin at 0")
    everyone, place = (*chiefs, *workers), index if kind == "chief" else index + len(chiefs)
    for address in everyone:
        if not re.fullmatch(r"[^\s/]+:\d{1,5}", address) or not 0 < int(address.rpartition(":")[2]) < 1 << 16:
            raise InputError(f"TF_CONFIG: {address!r} is no address, expected HOST:PORT, such as node1:12345")
        if everyone.count(address) > 1:
            raise InputError(f"TF_CONFIG: the address {address} is there twice; workers of one machine need two ports")
    machines = [address.rpartition(":")[0] for address in everyone]
    return Cluster(everyone, place, machines[:place].count(machines[place]))
