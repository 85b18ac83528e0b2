"""Convert the state of the service, as the parent sent it, to a message."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.release import release
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts
from retriever.control import ServiceState
from retriever.waiting import waiting_for


def status_message(
    fleet: ServiceState, indexes: Mapping[str, IndexFacts] | None = None
) -> pb.GetStatusResponse:
    """Return the status of the service and of each worker, and the indexes of the served version."""
    reload = fleet.last_reload
    return pb.GetStatusResponse(
        software_version=release(),
        label=fleet.label,
        label_target=fleet.target,
        version=fleet.version,
        label_problem=fleet.label_problem,
        not_serving_reason="" if fleet.version else waiting_for(fleet, now=time.monotonic()).reason,
        served_problem=fleet.served_problem,
        last_reload=None
        if reload is None
        else pb.ReloadOutcome(
            version=reload.version,
            succeeded=reload.succeeded,
            reason=reload.reason,
            duration_seconds=reload.seconds,
            ended_at=_timestamp(reload.ended_at),
            commit_spread_seconds=reload.commit_spread_seconds,
        ),
        workers=[
            pb.WorkerStatus(
                index=worker.index,
                pid=worker.pid,
                state=_state(worker.state),
                version=worker.version,
                started_at=_timestamp(worker.started_at),
                serving_since=_timestamp(worker.serving_since),
                restarts=worker.restarts,
                calls=worker.load.calls,
                refused_calls=worker.load.refused,
                calls_in_flight=worker.load.in_flight,
                pss_bytes=worker.load.pss_bytes,
            )
            for worker in fleet.workers
        ],
        failed_versions=[
            pb.FailedVersion(
                version=failed.version,
                reason=failed.reason,
                failed_at=_timestamp(failed.failed_at),
                retried=failed.passing,
            )
            for failed in fleet.failed
        ],
        indexes=[
            pb.IndexStatus(
                name=name,
                backend=indexes[name].backend,
                target_recall=indexes[name].target_recall or 0.0,
                recall_at_10=indexes[name].recalls(name),
            )
            for name in (layout.SIMILAR, layout.RECOMMEND)
            if indexes is not None and name in indexes
        ],
    )


def _state(word: str) -> Any:
    return pb.WorkerState.Value(f"WORKER_STATE_{'STARTING' if word == 'booted' else word.upper()}")


def _timestamp(seconds: float) -> Any:
    if not seconds:
        return None
    timestamp = Timestamp()
    timestamp.FromNanoseconds(int(seconds * 1e9))
    return timestamp
