"""A real Prometheus scrapes a trainer and a retriever, and knows what docker/prometheus/ asks for."""

import json
import re
import signal
import subprocess
from contextlib import ExitStack

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.trainer.v1 import trainer_service_pb2 as trainer_pb

from lightfm_retriever.publication import labels, layout
from tests import datasets, prometheus
from tests.load import models
from tests.prometheus import FILES
from tests.service import Service
from tests.trainer_service import TrainerService, events, spec, wait_until

pytestmark = pytest.mark.skipif(not prometheus.installed(), reason=prometheus.MISSING)

VARIABLES = {"instance": ".*", "__rate_interval": "1m", "__range": "1m"}
# So large that its index is asked, which a recall takes.
LARGE = models.Size(items=5000, every=False)
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())


def metrics_address(service) -> str:
    """Where a service answers Prometheus; port 0 is only told by its log."""
    found = []
    wait_until(lambda: found.extend(re.findall(r"metrics on (\S+)", service.log)) or found)
    return found[-1]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A trainer and a retriever that have done something of each kind, and their Prometheus."""
    directory = tmp_path_factory.mktemp("watched")
    volume = directory / "volume"
    labels.promote(volume, models.publish(volume, "a", 1).version)
    with ExitStack() as stack:
        listen = {"metrics_listen": "127.0.0.1:0"}
        trainer = stack.enter_context(TrainerService(volume, directory / "state", **listen))
        flags = {"workers": 2, "poll_seconds": 0.05, "drain_seconds": 0, "online_recall_share": 1}
        retriever = stack.enter_context(Service(volume, directory / "log", **listen, **flags))
        targets = {"trainer": [metrics_address(trainer)], "retriever": [metrics_address(retriever)]}
        running = stack.enter_context(prometheus.scraping(directory, targets))
        trainer.append(events(datasets.rows(), prefix="e"))
        # What happened before the first scrape doesn't show as a rise, nor does what makes a series.
        other = spec(label="trained", gates=trainer_pb.Gates(allow_different_data=True))
        first = trainer.end(trainer.submit(other))
        assert first.state == trainer_pb.TRAINING_RUN_STATE_SUCCEEDED, first.error
        running.wait_for("sum by (job) (up)", {("retriever",): 1, ("trainer",): 1})
        trained = trainer.submit(other)
        trainer.cancel(trainer.submit(spec()))
        retriever.wait_until_all_serve(labels.read_label(volume, "current"))
        for _ in range(4):
            # More than there are.
            more = retriever_pb.SimilarItemsRequest(item_id=models.ITEM_IDS[0], limit=1000)
            retriever.stub().SimilarItems(more)
        version = models.publish(volume, "a", 2, LARGE).version
        labels.promote(volume, version)
        retriever.wait_until_all_serve(version)
        second = trainer.end(trained)
        assert second.state == trainer_pb.TRAINING_RUN_STATE_SUCCEEDED, second.error
        recommend = retriever_pb.RecommendRequest(user_id=models.USER_IDS[0], limit=5)
        similar = retriever_pb.SimilarItemsRequest(item_id=models.ITEM_IDS[0], limit=5)
        for stub in (retriever.stub() for _ in range(4)):
            stub.Recommend(recommend)
            stub.BatchRecommend(retriever_pb.BatchRecommendRequest(requests=[recommend] * 3))
            stub.BatchSimilarItems(retriever_pb.BatchSimilarItemsRequest(requests=[similar] * 2))
            for wrong in ({"user_id": "nobody"}, {"user_id": models.USER_IDS[0], "limit": -1}):
                with pytest.raises(grpc.RpcError):
                    stub.Recommend(retriever_pb.RecommendRequest(**wrong))
        yield trainer, retriever, running


def test_every_panel_shows_something(watched):
    _, _, running = watched

    def empty():
        return [
            panel["title"]
            for panel in DASHBOARD["panels"]
            for target in panel.get("targets", [])
            if not running.query(filled_in(target["expr"]))
        ]

    running.wait_for(empty, [])
    for annotation in DASHBOARD["annotations"]["list"]:
        running.query(filled_in(annotation["expr"]))


def filled_in(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(f"${name}", value)
    return expression


def test_alerts_fire_when_they_must(watched):
    trainer, retriever, running = watched
    rules = [rule for group in running.get("rules")["groups"] for rule in group["rules"]]
    assert {"RetrieverDown", "LabelProblem", "TrainingFailed"} <= {rule["name"] for rule in rules}
    # Of a pair that is well; the others are of what it was asked, and of this machine.
    others = {"HighLatency", "OnlineRecallLow", "ShortAnswers", "VolumeNearlyFull"}
    running.wait_for(lambda: running.firing() - others, set())
    label = layout.label_file(trainer.volume, layout.DEFAULT_LABEL)
    named = label.read_bytes()
    label.write_text("nonsense")
    running.wait_for(lambda: "LabelProblem" in running.firing(), True)
    label.write_bytes(named)
    running.wait_for(lambda: "LabelProblem" in running.firing(), False)
    retriever.signal(signal.SIGKILL)
    running.wait_for(lambda: "RetrieverDown" in running.firing(), True)
    # All have been worked out by now.
    for group in running.get("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule


@pytest.mark.parametrize(
    "arguments",
    ["check config prometheus.yaml", "check rules alerts.yaml", "test rules alerts_test.yaml"],
)
def test_promtool_is_content(arguments):
    command = [prometheus.promtool(), *arguments.split()]
    done = subprocess.run(command, cwd=FILES, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
