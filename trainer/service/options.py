"""How the trainer's service runs, as data. Knows no gRPC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings.flags import Hosting
from lightfm_retriever.publication.volume import Volume
from trainer.errors import OptionError
from trainer.spec import TrainingSpec
from trainer.tracking.options import TrackingOptions
from trainer.versions.retention import RetentionPolicy

RETRAINING = "training by itself"
_retraining = partial(Option, group=RETRAINING)


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How the service runs.

    Attributes:
        volume: where versions are published.
        cache_bytes: see Places.
        state: directory of runs, logs and events; on the trainer's own disk.
        listen: HOST:PORT.
        data_dir: where fetched datasets are.
        retention: which versions are kept; None to delete none.
        retrain: what to train again by itself; None for nothing.
        tracking: the MLflow server that gets each run; no request names another.
    """

    volume: Volume
    state: Path
    listen: str
    data_dir: Path
    cache_bytes: int | None = None
    data_roots: Annotated[
        tuple[Path, ...],
        Option(
            "let requests name files below this folder; may be given several times (default: none)",
            flag="data_root",
            metavar="DIR",
            repeated=True,
        ),
    ] = ()
    parallel_runs: Annotated[int, Option("training runs that run at the same time", ge=1, le=64)] = 1
    retention: RetentionPolicy | None = field(default_factory=RetentionPolicy)
    retrain: TrainingSpec | None = None
    retrain_every: Annotated[
        timedelta | None,
        _retraining("train again after this time, such as 1h or 7d", metavar="DURATION"),
    ] = None
    retrain_cron: Annotated[
        str | None,
        _retraining(
            "train again at these times: five fields of cron, in UTC, such as '0 3 * * *'",
            metavar="EXPRESSION",
        ),
    ] = None
    retrain_on_change: Annotated[bool, _retraining("train again when the input has changed")] = False
    maintenance_seconds: Annotated[
        float,
        _retraining(
            "seconds between two looks for old versions, and for a reason to train", ge=0.05, le=3600
        ),
    ] = 30.0
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    hosting: Hosting = field(default_factory=Hosting)

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
