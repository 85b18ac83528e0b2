"""What logs and traces tell of a response."""

from __future__ import annotations

from typing import Any

from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.observing.spans import Attributes


def call_facts(response: Any) -> Attributes:
    """Which training run a response is about, if it is about one."""
    if isinstance(
        response, pb.TrainResponse | pb.GetTrainingRunResponse | pb.CancelTrainingRunResponse
    ):
        return {"training_run": response.training_run.id}
    return {}
