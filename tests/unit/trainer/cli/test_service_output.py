from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.cli import service_output
from trainer.timings import STAGES

RUN = pb.TrainingRun(
    id="a",
    state=pb.TRAINING_RUN_STATE_SUCCEEDED,
    spec=pb.TrainingSpec(data=pb.DataSpec(event_weights={"view": 1, "buy": 5, "": 0.5, "add": 2})),
    metrics={f"metric_{number}": number for number in range(9)},
    seconds={**dict.fromkeys(STAGES, 1.0), "ponder": 2.0},
    gates=[pb.GateResult(name="min_auc", text="fine")],
)


def test_stages_are_told_as_they_happen_and_maps_have_an_order_in_json_too(capsys):
    service_output.run(RUN)
    [line] = [own for own in capsys.readouterr().out.splitlines() if own.startswith("seconds: ")]
    told = [part.split()[0] for part in line.removeprefix("seconds: ").split(", ")]
    assert told == [*STAGES, "ponder"]
    [listed] = service_output.content(pb.ListTrainingRunsResponse(training_runs=[RUN]))["training_runs"]
    for content in (service_output.content(RUN), listed):
        assert [*content["seconds"]] == told
        assert [*content["metrics"]] == sorted(RUN.metrics)
        assert [*content["spec"]["data"]["event_weights"]] == ["", "add", "buy", "view"]
        # What is no map keeps the order of its fields.
        assert [*content][:3] == ["id", "state", "spec"]
        assert content["gates"] == [{"name": "min_auc", "text": "fine"}]
