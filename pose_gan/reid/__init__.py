"""Person re-identification: whether a person is found again in the images of other cameras (paper, Appendix C).

`evaluate_ranking` scores distances, `kissme` and `xqda` learn distances. They need NumPy only.
"""

from pose_gan.reid.metric_learning import kissme, xqda
from pose_gan.reid.ranking import evaluate_ranking

__all__ = ["evaluate_ranking", "kissme", "xqda"]
