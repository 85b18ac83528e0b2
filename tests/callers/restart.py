"""A retriever that is restarted in place while a client calls it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb

import retriever
from lightfm_retriever.publication import labels
from tests.callers.command import Language, calling
from tests.load import models
from tests.service import Service

POLICY = str(Path(retriever.__file__).parent / "retry_policy.json")
RECOMMEND = "/recsys.retriever.v1.RetrieverService/Recommend"
_FLAGS: dict[str, Any] = {"workers": 2, "drain_seconds": 0}


def over_a_restart(language: Language, *, config: str, waits: bool) -> Mapping[str, int]:
    """Return how many calls ended with each code, until the service serves again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume = folder / "volume"
        labels.promote(volume, models.publish(volume, "a", 1).version)
        request = pb.RecommendRequest(user_id=models.USER_IDS[0])
        with Service(volume, folder / "first.log", **_FLAGS) as first:
            _wait(first)
            target = first.target
            with calling(language, target, RECOMMEND, request, config=config, waits=waits) as caller:
                caller.wait_until_it_calls()
                first.terminate()
                with Service(volume, folder / "second.log", listen=target, **_FLAGS) as second:
                    _wait(second)
                    return caller.stop()


def _wait(service: Service) -> None:
    service.wait_until(
        lambda status: len(status.workers) == 2 and all(worker.version for worker in status.workers)
    )
