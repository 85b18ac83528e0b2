from recsys.trainer.v1 import trainer_service_pb2 as pb

from tests import datasets, specs
from trainer.cli.printed import service_output
from trainer.service.messages import spec_message
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


def test_why_a_run_failed_is_told_whole_in_a_list_and_once_for_a_run(capsys):
    error = "Traceback\n" + "interactions.csv, row 17: " + "a long reason " * 20 + "ends here"
    failed = pb.TrainingRun(id="b", state=pb.TRAINING_RUN_STATE_FAILED, error=error)
    service_output.runs([failed], next_page="")
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].split()[-1] == "error"
    assert "ends here" in shown
    service_output.run(failed)
    assert capsys.readouterr().out.count("FAILED") == 1
    # Where its end is told elsewhere nothing is left to tell.
    service_output.run(failed, with_end=False)
    assert capsys.readouterr().out == ""


def test_a_run_is_a_row_of_a_table():
    shown = pb.TrainingRun(
        id="r",
        state=pb.TRAINING_RUN_STATE_FAILED,
        spec=spec_message(specs.spec(), with_secrets=True),
        metrics={"b": 2.0, "a": 1.0},
        seconds={"fit": 3.0, "read": 1.0},
        gates=[pb.GateResult(name="min_auc"), pb.GateResult(name="min_recall", passed=True)],
        error="diverged",
    )
    shown.created_at.FromSeconds(60)
    row = service_output.row(shown)
    assert (row["training_run"], row["state"], row["error"]) == ("r", "FAILED", "diverged")
    assert (row["created_at"], row["ended_at"]) == ("1970-01-01T00:01:00Z", None)
    assert row["gates_failed"] == "min_auc"
    assert row["params"]["data.interactions"] == "/data/a.csv"
    assert row["params"]["hyperparameters.epochs"] == datasets.QUICK.epochs
    assert [*row["metrics"]] == ["a", "b", "seconds.read", "seconds.fit"]
