"""Published numbers of the method, for tables that compare them with measured ones. None was measured by us.

A number is kept as it was printed, since no further digits were published. Each number stands under the metric of
`pose_gan.metrics.METRICS` that has the protocol of the publication. Numbers that a table left out are absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pose_gan.config import LossConfig, ModelConfig
from pose_gan.errors import InputError
from pose_gan.presets import DATASETS, PRESET_LOSS, PRESET_MODEL, dataset_defaults, preset_of

PAPER = "Siarohin et al., CVPR 2018"
LATER = "tables of later papers (Ren et al., CVPR 2020, and after), of the released weights"
REAL = "real"

DATASET_TITLES = {"market": "Market-1501", "fashion": "DeepFashion"}
PRESET_TITLES = {"baseline": "Baseline", "dsc": "DSC", "fm": "PercLoss", "full": "Full"}


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table, for one data set.

    Attributes:
        name: the name of the row in the table.
        dataset: a name in `DATASET_TITLES`.
        source: publication and table.
        pairs: number of test pairs.
        values: metric → number, as printed.
        preset: our preset of this row (`PRESET_TITLES`); `REAL` for real images; None: the row is of another method.
        by_paper: whether the row stands in the paper itself.
    """

    name: str
    dataset: str
    source: str
    pairs: int
    values: Mapping[str, str] = field(default_factory=dict)
    preset: str | None = None
    by_paper: bool = True


def _market(name: str, numbers: str, key: str | None, table: str = "Table 3") -> PublishedRow:
    metrics = ("ssim", "is", "mask_ssim", "mask_is", "ds")
    values: dict[str, str] = dict(zip(metrics, numbers.split(), strict=True))
    return PublishedRow(name, "market", f"{PAPER}, {table}", 12000, values, key)


def _fashion(name: str, numbers: str, key: str | None, table: str = "Table 3") -> PublishedRow:
    """Table 3 gives no DS on DeepFashion ("all close to the value ~ 0.96"). Table 1 gives it for its own rows."""
    values: dict[str, str] = dict(zip(("ssim", "is", "ds"), numbers.split(), strict=False))
    return PublishedRow(name, "fashion", f"{PAPER}, {table}", 12000, values, key)


ROWS: tuple[PublishedRow, ...] = (
    _market("Ma et al.", "0.253 3.460 0.792 3.435 0.39", None, "Table 1"),
    _market("Baseline", "0.256 3.188 0.784 3.580 0.595", "baseline"),
    _market("DSC", "0.272 3.442 0.796 3.666 0.629", "dsc"),
    _market("PercLoss", "0.276 3.342 0.788 3.519 0.603", "fm"),
    _market("Full", "0.290 3.185 0.805 3.502 0.720", "full"),
    _market("Real-Data", "1.00 3.86 1.00 3.36 0.74", REAL, "Tables 1 and 3"),
    _fashion("Ma et al.", "0.762 3.090 0.95", None, "Table 1"),
    _fashion("Baseline", "0.754 3.351", "baseline"),
    _fashion("DSC", "0.754 3.352", "dsc"),
    _fashion("PercLoss", "0.744 3.271", "fm"),
    _fashion("Full", "0.756 3.439 0.96", "full", "Tables 1 and 3"),
    _fashion("Real-Data", "1.000 3.898 0.98", REAL, "Tables 1 and 3"),
    # Their SSIM on Market, 0.2683, is left out: its size shows that its protocol differs from that on DeepFashion
    PublishedRow("Full", "market", LATER, 12000, {"lpips": "0.2994", "fid": "25.364"}, "full", False),
    PublishedRow(
        "Full", "fashion", LATER, 8570, {"ssim_gfla": "0.6786", "lpips": "0.2330", "fid": "18.457"}, "full", False
    ),
)


@dataclass(frozen=True)
class PublishedStudy:
    """A row of the paper's Table 2: the user study, in percent, as printed.

    Attributes:
        name: the name of the row.
        dataset: a name in `DATASET_TITLES`.
        r2g, g2r: share of real images that were rated generated, and of generated images rated real.
        counts: the wrong answers to real and to generated images, and all answers to a class (30 raters × 55 images):
            the whole numbers that fit the printed ones. None: the row is of a study with other raters.
    """

    name: str
    dataset: str
    r2g: str
    g2r: str
    counts: tuple[int, int, int] | None = None


TABLE_2: tuple[PublishedStudy, ...] = (
    PublishedStudy("Ma et al.", "market", "11.2", "5.5"),
    PublishedStudy("Full", "market", "22.67", "50.24", (374, 829, 1650)),
    PublishedStudy("Ma et al.", "fashion", "9.2", "14.9"),
    PublishedStudy("Full", "fashion", "12.42", "24.61", (205, 406, 1650)),
)


@dataclass(frozen=True)
class PublishedReid:
    """A row of the paper's Table 4: re-identification on Market-1501, in percent, as printed.

    Attributes:
        name: the name of the row in the table, without its reference.
        method, distance: our names of its network and of its distance.
        standard, augmented: rank-1 and mAP with the standard and with the augmented training set.
    """

    name: str
    method: str
    distance: str
    standard: tuple[str, str]
    augmented: tuple[str, str]


TABLE_4: tuple[PublishedReid, ...] = (
    PublishedReid("IDE + Euclidean", "ide", "euclidean", ("73.9", "48.8"), ("78.5", "55.9")),
    PublishedReid("IDE + XQDA", "ide", "xqda", ("73.2", "50.9"), ("77.8", "57.9")),
    PublishedReid("IDE + KISSME", "ide", "kissme", ("75.1", "51.5"), ("79.5", "58.1")),
    PublishedReid("Discriminative Embedding", "embedding", "cosine", ("78.3", "55.5"), ("80.6", "61.3")),
)


def known_dataset(name: Any, image_size: Sequence[int]) -> str | None:
    """The data set of `ROWS` that `name` means, in either spelling; None for other names or another image size."""
    key = "fashion" if name == "fasion" else name
    if key in DATASET_TITLES and tuple(image_size) == DATASETS[key].image_size:
        return key
    return None


def published_rows(dataset: str | None) -> list[PublishedRow]:
    """All rows of a data set, in the order of the tables; none if the data set is unknown."""
    return [row for row in ROWS if row.dataset == dataset]


def paper_row(key: str | None, dataset: str | None) -> PublishedRow | None:
    """The paper's own row of a preset or of `REAL` images; None if there is none, or an argument is unknown."""
    rows = (row for row in published_rows(dataset) if row.by_paper and row.preset == key)
    return None if key is None else next(rows, None)


def recorded_preset(options: Mapping[str, Any]) -> str | None:
    """The preset with which a generator was trained; None for other settings, or if they are not known.

    Args:
        options: the options that `pose-gan test` records: `dataset`, and training settings as `training: <name>`.
    """
    try:
        model = ModelConfig(**{name: options[f"training: {name}"] for name in ("image_size", *PRESET_MODEL)})
        loss = LossConfig(**{name: options[f"training: {name}"] for name in (*PRESET_LOSS, "vgg_weights")})
        window = dataset_defaults(str(options.get("dataset")), model.image_size).nn_window
    except (InputError, KeyError, TypeError, ValueError):
        return None
    return preset_of(model, loss, window)
