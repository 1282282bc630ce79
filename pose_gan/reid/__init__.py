"""Person re-identification: whether a person is found again in the images of other cameras (paper, Appendix C).

`evaluate_ranking` scores distances, `kissme` and `xqda` learn distances. They need NumPy only. They are imported when
they are asked for, since every program reads the settings of this package for its flags.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose_gan.reid.metric_learning import kissme, xqda
    from pose_gan.reid.ranking import evaluate_ranking

__all__ = ["evaluate_ranking", "kissme", "xqda"]
_PLACES = {"evaluate_ranking": "ranking", "kissme": "metric_learning", "xqda": "metric_learning"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
