"""One training on several devices: each computes its share of every batch, and all make the same update.

A *replica* is a copy of the networks on one device; a *worker* is a process, with one or more replicas. For a batch of
G pairs and R replicas, replica r takes the pairs [r·G/R, (r+1)·G/R), in the order of one device. Losses and gradients
are those of the whole batch.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from pose_gan.config import TrainConfig
from pose_gan.data.batches import Batch
from pose_gan.errors import InputError, reason
from pose_gan.training.devices import Cluster, Devices, cluster_of
from pose_gan.training.joining import check_names
from pose_gan.training.team import LostWorkerError, Team

Step = Callable[[Sequence[Batch]], dict[str, tf.Tensor]]
STOP = "wishes to stop"
BROKEN = tuple(
    getattr(tf.errors, f"{kind}Error")
    for kind in ("Aborted", "Cancelled", "DeadlineExceeded", "Internal", "Unavailable")
)
"""What TensorFlow raises if a worker is lost, among other causes."""
UNREACHED = (tf.errors.DeadlineExceededError, tf.errors.UnavailableError)


class Distribution:
    """The devices of a training.

    Args:
        strategy: how TensorFlow spreads the computation; None: one device.
        team: the workers.

    Attributes:
        replicas: number of replicas, over all workers.
        local: number of replicas in this process.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, team: Team | None = None) -> None:
        self.strategy, self.team = strategy, team or Team()
        self.replicas = strategy.num_replicas_in_sync if strategy is not None else 1
        self.local = self.replicas // self.team.size
        self._wish = False
        self._wishes: tuple[Any, Any] = (0.0, 0.0)  # shares of the replicas that wished to stop: a step ago, and now

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Networks and optimizers that are made inside of the block have their variables on every replica.

        Raises: LostWorkerError: a worker is lost, to which or from which their first values go.
        """
        with _losses_named(self.team), self.strategy.scope() if self.strategy is not None else contextlib.nullcontext():
            yield

    def check(self, train: TrainConfig) -> None:
        """Raises InputError if these settings cannot be trained on so many replicas."""
        if train.batch_size % self.replicas:
            below = train.batch_size - train.batch_size % self.replicas
            sizes = [str(size) for size in (below, below + self.replicas) if size]
            raise InputError(
                f"--batch_size {train.batch_size} cannot be shared among {self.replicas} devices: each takes the same "
                f"number of pairs, so the size is a multiple of {self.replicas}, such as {' or '.join(sizes)}"
            )
        if self.replicas > 1 and train.precision == "mixed_float16":
            raise InputError(
                "--precision mixed_float16 works on one device only: its loss scaling looks at the gradients of one "
                "device, and the others would go on with numbers that overflowed; use mixed_bfloat16 or float32"
            )

    def in_words(self) -> str:
        """What the log says of the devices; nothing of a single one."""
        if self.replicas == 1:
            return ""
        processes = f" in {self.team.size} processes" if self.team.size > 1 else ""
        return f"on {self.replicas} devices{processes}; "

    def compiled(self, step: Step) -> Step:
        """A step as one compiled function, which gives the losses of the whole batch.

        Args:
            step: takes batches, and returns scalars by name, which are means over its images. It minimises 1/R of its
                losses; `keras.optimizers` add up the gradients of the R replicas.
        Returns: a function that takes this worker's share of the batches, and returns the means over all replicas.
            It raises LostWorkerError.
        """
        strategy = self.strategy
        if strategy is None:
            return tf.function(step)
        names: list[str] = []

        def on_replica(batches: Sequence[Batch], wish: tf.Tensor) -> tf.Tensor:
            report = {**step([self._share(batch) for batch in batches]), STOP: wish}
            names[:] = report
            return tf.stack(list(report.values()))

        @tf.function
        def on_all(batches: Sequence[Batch], wish: tf.Tensor) -> dict[str, tf.Tensor]:
            means = strategy.reduce("MEAN", strategy.run(on_replica, args=(batches, wish)), axis=None)
            return dict(zip(names, tf.unstack(means, len(names)), strict=True))

        def checked(batches: Sequence[Batch]) -> dict[str, tf.Tensor]:
            with _losses_named(self.team):
                report = on_all(batches, tf.constant(float(self._wish)))
            self._wishes = self._wishes[1], report.pop(STOP)
            return report

        return checked

    def stopping(self, wish: bool) -> bool:
        """Whether to stop before the next step, which is the same one for all workers.

        With several workers, the wish of one is known to all a step after the next one: it travels with the losses, and
        what is read is a step old, so that no worker waits for a device.

        Args: wish: whether this worker wishes to stop.
        """
        if self.team.size == 1:
            return wish
        self._wish = wish
        return float(self._wishes[0]) > 0

    def _share(self, batch: Batch) -> Batch:
        """The pairs of the replica in which this is called, of its worker's pairs."""
        context = tf.distribute.get_replica_context()
        number = tf.get_static_value(context.replica_id_in_sync_group) % self.local  # pyright: ignore[reportOptionalMemberAccess]
        with tf.device("CPU:0"):
            return {name: tf.split(values, self.local)[number] for name, values in batch.items()}


ONE_DEVICE = Distribution()


@contextlib.contextmanager
def _losses_named(team: Team) -> Iterator[None]:
    """If TensorFlow fails inside of the block because a worker is lost, LostWorkerError says which one."""
    try:
        yield
    except BROKEN as error:
        found = error if team.size == 1 else team.explain(error)
        if found is error and isinstance(error, UNREACHED) and team.size > 1:
            found = LostWorkerError(
                "all workers live, but TensorFlow cannot reach one of them from another one; each machine must reach "
                f"all of {', '.join(team.addresses)} ({reason(error)})"
            )
        raise found from None


def open_distribution(choice: Devices, team: Team, on_machine: int = 0) -> Distribution:
    """The devices of a choice. It must come before TensorFlow computes anything.

    Args:
        choice: which ones.
        team: the workers, who have joined.
        on_machine: the number of this worker among those of its machine.
    Raises: InputError: the machine has no such devices.
    """
    kind, numbers = team.agree(lambda: _chosen(choice, team, on_machine))
    team.compare({"devices of the kind": kind, "devices in number": len(numbers)})
    _show_only(kind, numbers)
    if team.size > 1:
        return Distribution(_multi_worker(team), team)
    if len(numbers) == 1:
        return Distribution()
    return Distribution(tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(len(numbers))]))


def _chosen(choice: Devices, team: Team, on_machine: int) -> tuple[str, tuple[int, ...]]:
    """Kind and numbers of the devices. Raises InputError: they are not there."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    kind = choice.kind or ("GPU" if gpus else "CPU")
    if kind == "CPU":
        numbers = choice.numbers or (0,)
        if len(numbers) > 1 and team.size > 1:
            raise InputError(f"--devices {_names(kind, numbers)}: with several workers, each has one CPU; leave it out")
        return kind, numbers
    numbers = tuple(range(gpus)) if choice.numbers is None else choice.numbers
    if choice.kind is None and gpus > 1:
        numbers = (on_machine % gpus,)
        if team.size == 1:
            print(f"{gpus} GPUs are there, and one of them is used; --devices all uses them all", flush=True)
    if not numbers or max(numbers) >= gpus:
        there = ", ".join(f"GPU:{number}" for number in range(gpus)) or "no GPU that TensorFlow can use"
        asked = _names(kind, numbers) or "all GPUs"
        raise InputError(f"--devices: asks for {asked}; this machine has {there} and a CPU")
    return kind, numbers


def _names(kind: str, numbers: Sequence[int]) -> str:
    return ",".join(f"{kind}:{number}" for number in numbers)


def _show_only(kind: str, numbers: Sequence[int]) -> None:
    """TensorFlow sees only these devices, and numbers them from 0. With several CPUs, the one there is is divided."""
    gpus = tf.config.list_physical_devices("GPU")
    shown = [gpus[number] for number in numbers] if kind == "GPU" else []
    if shown != gpus:
        tf.config.set_visible_devices(shown, "GPU")
    if kind == "CPU" and len(numbers) > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * len(numbers)
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)


def _multi_worker(team: Team) -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(team.addresses)}), task_type="worker", task_id=team.index, rpc_layer="grpc"
    )
    team.agree(lambda: check_names(team.addresses))
    with _losses_named(team):
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def find_cluster(choice: Devices, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The processes that train together: those of `TF_CONFIG`, or of srun's step with `--devices slurm`; None: one.

    Raises: InputError: there is no such step, or what describes them cannot be understood.
    """
    if not choice.slurm:
        return cluster_of(environment)
    job = environment.get("SLURM_JOB_ID", "")
    base = 10_000 + int(job) % 2000 * 8 if job.isdecimal() else 10_000  # so that the jobs of a machine do not meet
    try:
        tasks = int(environment["SLURM_STEP_NUM_TASKS"])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=base, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        listed = resolver.cluster_spec().as_dict()["worker"]
        index, local = int(environment["SLURM_PROCID"]), int(environment.get("SLURM_LOCALID", 0))
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--devices slurm: no step of srun is to be seen ({error}); start with: srun pose-gan train …"
        ) from None
    # The resolver sorts node10 before node2; srun numbers its tasks in the order of the numbers.
    addresses = sorted(
        listed, key=lambda address: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", address)]
    )
    node = environment.get("SLURMD_NODENAME", "")
    if node and not addresses[index].startswith(f"{node}:"):
        raise InputError(
            f"--devices slurm: task {index} runs on {node}, but task numbers in blocks would place it on "
            f"{addresses[index]}; give srun --distribution=block"
        )
    return Cluster(tuple(addresses), index, local) if len(addresses) > 1 else None
