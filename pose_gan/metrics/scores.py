"""The scores of a set of images under several metrics, beside those of the trivial answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pose_gan.files import atomic_path, write_json
from pose_gan.metrics import METRICS, Result
from pose_gan.versions import versions


@dataclass(frozen=True)
class Scores:
    """Scores of a folder of strips.

    Attributes:
        generated: metric name → result, of the generated images.
        copy_source: the same metrics for the trivial answer, the source image as it is.
        pairs: columns `from`, `to`; the order of all per-image values.
        strips_dir: where the strips are.
    """

    generated: dict[str, Result]
    copy_source: dict[str, Result]
    pairs: pd.DataFrame
    strips_dir: Path

    def per_pair(self) -> pd.DataFrame:
        """One row a pair: `from`, `to`, each per-image metric, then the same as `copy_source_<metric>`."""
        columns: dict[str, Any] = {"from": self.pairs["from"].to_numpy(), "to": self.pairs["to"].to_numpy()}
        for prefix, results in (("", self.generated), ("copy_source_", self.copy_source)):
            columns |= {prefix + name: result.values for name, result in results.items() if result.values is not None}
        return pd.DataFrame(columns)

    def to_dict(self) -> dict[str, Any]:
        """`{metric: {generated, copy_source: {mean, std, count}, higher_is_better, settings}}`."""
        return {
            name: {
                "generated": _numbers(result),
                "copy_source": _numbers(self.copy_source[name]),
                "higher_is_better": METRICS[name].higher_is_better,
                "settings": METRICS[name].settings,
            }
            for name, result in self.generated.items()
        }

    def table(self) -> str:
        """A table for the terminal: mean ± standard deviation, and which way is better."""
        rows = [(f"{len(self.pairs)} pairs", "generated", "copying the source")]
        for name, result in self.generated.items():
            arrow = "higher is better" if METRICS[name].higher_is_better else "lower is better"
            rows.append(
                (f"{METRICS[name].title}, {arrow}", format_result(result), format_result(self.copy_source[name]))
            )
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(f"{a:<{widths[0]}}   {b:>{widths[1]}}   {c:>{widths[2]}}" for a, b, c in rows)

    def save(self, folder: str | os.PathLike[str], run: dict[str, Any] | None = None) -> None:
        """Writes `metrics.json` and `metrics_per_pair.csv` in `folder`, atomically.

        Args:
            folder: made where absent.
            run: command and options that led here, as JSON can hold them.
        """
        folder = Path(folder)
        values = {
            "metrics": self.to_dict(),
            "count": len(self.pairs),
            "strips_dir": str(self.strips_dir),
            "run": run or {},
            "versions": versions(),
        }
        write_json(folder / "metrics.json", values)
        with atomic_path(folder / "metrics_per_pair.csv") as temporary:
            self.per_pair().to_csv(temporary, index=False)


def format_result(result: Result) -> str:
    """`0.3614 ± 0.1123`."""
    return f"{result.mean:.4f}" + ("" if result.std is None else f" ± {result.std:.4f}")


def _numbers(result: Result) -> dict[str, Any]:
    return {"mean": result.mean, "std": result.std, "count": result.count}
