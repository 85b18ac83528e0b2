"""Target: any message to any method of the trainer, over a real volume, queue and event log."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.volume import Volume
from tests import publications
from tests.fuzz import mutation
from tests.fuzz.context import Context, UnansweredError
from tests.fuzz.messages import Maker
from tests.fuzz.runner import Execute, note
from trainer.data.data_roots import DataRoots
from trainer.event_log.log import EventLog
from trainer.pipeline import Places
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import RunStore
from trainer.service.servicer import TrainerServicer

_SERVICE = pb.DESCRIPTOR.services_by_name["TrainerService"]
_METHODS = {own.name: getattr(pb, own.input_type.name) for own in _SERVICE.methods}
_LIKELY = (5, 2, 2, 2, 2, 5, 1, 0.3, 1, 1, 1, 0.2, 0.5)
_FILE = "events.csv"


def prepare(directory: Path) -> None:
    volume = directory / "volume"
    for day in range(2):
        at = publications.NOON + timedelta(days=day)
        version = publications.publish(volume, seed=day, extended=day > 0, clock=lambda at=at: at)  # type: ignore[misc]
        labels.promote(volume, version)
    root = directory / "root"
    root.mkdir()
    (root / _FILE).write_text("user_id,item_id\na,1\n")


def start(directory: Path) -> Execute:
    own = Path(tempfile.mkdtemp(dir=directory))
    volume = own / "volume"
    shutil.copytree(directory / "volume", volume)
    places = Places(Volume(volume), own / "data", own / "events")
    scheduler = Scheduler(RunStore(own), places, logs=own / "logs", parallel=0)
    log = EventLog(places.event_log, segment_bytes=1 << 20, recent_ids=1000)
    servicer = TrainerServicer(Volume(volume), scheduler, log, DataRoots([directory / "root"]))
    versions = sorted(path.name for path in (volume / "versions").iterdir())
    known = {
        "": ("a", "b", "current", "x"),
        "label": ("current", "canary", ""),
        "interactions": (_FILE,),
        "items": (_FILE,),
        "users": (_FILE,),
        "dataset": ("movielens-100k",),
        "interactions_sql": ("SELECT user_id, item_id FROM events",),
        "database_url": (f"sqlite:///{_FILE}", "postgresql://user:password@host/base"),
        "backend": ("annoy", "exact", "auto", "annoy,exact"),
        "split": ("random", "time", "leave-last-k", "none"),
        "loss": ("warp", "bpr", "logistic"),
        "version": versions,
        "base_version": versions,
        "training_run_id": [""],
        "page_token": ("", "1", "5"),
    }
    maker = Maker(known)
    runs: list[str] = known["training_run_id"]  # type: ignore[assignment]

    def execute(random: Random) -> str:
        method = random.choices(list(_METHODS), _LIKELY)[0]
        note(method)
        request = _METHODS[method]()
        maker.fill(random, request, share=random.choice((0.05, 0.2, 0.5, 1.0)))
        if isinstance(request, pb.TrainRequest) and random.random() < 0.7:
            _make_likely(random, request.spec)
        maker.mutate(random, request)
        context = Context(looks=random.choice((0, 1, 2)))
        try:
            response = _call(random, servicer, method, request, context)
        except UnansweredError as error:
            context.check(error)
            return f"{method} {context.code.name}"
        if method == "Train" and len(runs) < 100:
            runs.append(response.training_run.id)
        assert "password@" not in str(response)
        return f"{method} OK"

    return execute


def _call(
    random: Random, servicer: TrainerServicer, method: str, request: Any, context: Context
) -> Any:
    handler = getattr(servicer, method)
    if method == "AppendInteractions":
        return handler(iter([request] * random.choice((0, 1, 2))), context)
    if method == "WatchTrainingRun":
        watching = handler(request, context)
        try:
            return next(watching, None)
        finally:
            watching.close()
    return handler(request, context)


def _make_likely(random: Random, spec: Any) -> None:
    source = random.choice(("dataset", "interactions", "event_log", "interactions_sql"))
    for name in ("dataset", "interactions", "event_log", "interactions_sql", "database_url"):
        spec.data.ClearField(name)
    setattr(spec.data, source, {"dataset": "movielens-100k", "event_log": True}.get(source, _FILE))
    spec.data.event_log |= random.random() < 0.3
    if source == "interactions_sql":
        spec.data.interactions_sql, spec.data.database_url = "SELECT 1", f"sqlite:///{_FILE}"
    if random.random() < 0.7:
        spec.ClearField("hyperparameters")
        spec.ClearField("gates")
        spec.hyperparameters.epochs = abs(mutation.integer(random)) % 2**31
