"""Both services, as those have them who run and ask them."""

from types import SimpleNamespace

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from retriever import client as retriever_client
from retriever.__main__ import main as retriever_main
from tests.service import Service
from tests.trainer_service import TrainerService
from trainer import client as trainer_client
from trainer.__main__ import main as trainer_main

RETRIEVER, TRAINER = "recsys.retriever.v1.RetrieverService", "recsys.trainer.v1.TrainerService"


def start_retriever(folder, **flags):
    (folder / "volume").mkdir(parents=True)
    return Service(folder / "volume", folder / "log", drain_seconds=0, **{"workers": 2, **flags})


KINDS = [
    SimpleNamespace(
        name="retriever",
        service=RETRIEVER,
        start=start_retriever,
        method=f"/{RETRIEVER}/GetStatus",
        client=retriever_client.RetrieverClient,
        ask=lambda client: client.recommend("3"),
        error=retriever_client.UnreachableError,
        main=retriever_main,
        command="status",
        commands=(("recommend", "3"), ("similar-items", "50"), ("status",), ("health",)),
        other=(TRAINER, "a trainer answers there"),
    ),
    SimpleNamespace(
        name="trainer",
        service=TRAINER,
        start=lambda folder, **flags: TrainerService(folder / "volume", folder / "state", **flags),
        method=f"/{TRAINER}/ListVersions",
        client=trainer_client.TrainerClient,
        ask=lambda client: client.call("ListVersions", trainer_pb.ListVersionsRequest()),
        error=trainer_client.TrainerUnreachableError,
        main=trainer_main,
        command="runs",
        commands=(("versions",), ("watch", "x"), ("health",)),
        other=(RETRIEVER, "a retriever answers there"),
    ),
]
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
