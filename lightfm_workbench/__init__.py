"""Fit, evaluate, publish and ask models in a notebook, by the code that the services run.

    import lightfm_workbench as wb

    data = wb.read(ratings)                          # a frame of pandas, polars or Arrow, or a file
    model = wb.fit(data, model="ease", seed=42)
    model.metrics["test_ndcg_at_10_unseen"]
    model.recommend(["3", "7"], limit=5).to_pandas()

    published = model.publish("volume", gates=wb.Gates(min_auc=0.6))
    current = wb.Volume("volume").current()          # answers in this process, without a server
    current.similar("50", filter=wb.any_of("genres", "Drama")).to_polars()

    wb.compare(current, model)                       # the same users, with intervals

Frames come in by Arrow, and results are `Frame`s, which go out to pandas, polars or Arrow. Errors name
the frame, the column and the row: InputError. Importing this package is fast; the
libraries of the models are imported when they are used.
"""

from lightfm_workbench.comparison import Comparison, MetricDifference, compare
from lightfm_workbench.data import Data, read
from lightfm_workbench.evaluation import EvaluationResult, evaluate
from lightfm_workbench.frame import Frame
from lightfm_workbench.model import FittedModel, fit
from lightfm_workbench.publish_result import PublishResult
from lightfm_workbench.recommender import Recommender
from lightfm_workbench.volume import Version, Volume
from retriever.asking.conditions import all_of, any_of, in_range, none_of
from trainer.errors import InputError, OptionError
from trainer.promotion.gates import GateResult, Gates

__all__ = [
    "Comparison",
    "Data",
    "EvaluationResult",
    "FittedModel",
    "Frame",
    "GateResult",
    "Gates",
    "InputError",
    "MetricDifference",
    "OptionError",
    "PublishResult",
    "Recommender",
    "Version",
    "Volume",
    "all_of",
    "any_of",
    "compare",
    "evaluate",
    "fit",
    "in_range",
    "none_of",
    "read",
]
