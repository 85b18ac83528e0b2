"""Runs in a real MLflow server, and trainings whose server is away, hangs or refuses."""

import contextlib
import csv
import json
import os
import pty
import signal
from contextlib import ExitStack

import pytest

from lightfm_retriever.publication import layout
from tests import datasets, mlflow_server
from tests.integration.trainer.conftest import QUICK, call, start
from tests.machine import free_port
from tests.mlflow_server import drips, misbehaving, says
from tests.trainer_service import (
    CANCELLED,
    SUCCEEDED,
    TrainerService,
    long,
    of_file,
    trains,
    wait_until,
)
from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import send
from trainer.tracking.tracked_run import MetricPoint, TrackedRun

# A server takes long to start on a busy machine.
pytestmark = pytest.mark.timeout(300)

RUN = TrackedRun(
    name="a run",
    status="FINISHED",
    started_ms=1_000,
    ended_ms=2_000,
    parameters={f"p{number}": "x" * 500 for number in range(250)},
    metrics=[MetricPoint("loss", 1 / step, step) for step in range(1, 2500)],
    tags={"version": "v"},
    texts={"manifest.json": "{}"},
)
# A busy machine takes its time.
_PATIENT = ("--mlflow-timeout", "100")
_TRIALS = ("--trials", "2", "--max-epochs", "4", "--epoch-step", "2")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not mlflow_server.installed():
        pytest.skip(mlflow_server.MISSING)
    with mlflow_server.server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def flags(server, request):
    """Flags of an experiment of the test's own."""
    return ["--mlflow-uri", server.uri, "--mlflow-experiment", request.node.name, *_PATIENT]


@pytest.fixture(scope="module")
def interactions(tmp_path_factory):
    return datasets.write_rows(tmp_path_factory.mktemp("data") / "interactions.parquet")


def test_a_training_is_there_with_parameters_metrics_and_artefacts(
    server, flags, files, tmp_path, request
):
    volume = tmp_path / "volume"
    done = call("train", *files, "--volume", volume, "--json", *flags)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    info, parameters, metrics = server.run_of(request.node.name)
    assert f"note: run {printed['version']} is in MLflow: {server.uri}/#/" in done.stderr
    assert info["status"] == "FINISHED"
    assert info["end_time"] >= info["start_time"]
    assert parameters["hyperparameters.epochs"] == "2"
    assert parameters["data.item_features"] == "genres"
    assert printed["metrics"].items() <= metrics.items()
    tags = info["tags"]
    assert tags["version"] == tags["mlflow.runName"] == printed["version"]
    assert (tags["label"], tags["label_moved"], tags["gates"]) == ("current", "true", "passed")
    run_id = info["run_id"]
    assert {"gates.json", "manifest.json", "spec.json"} <= {*server.artefacts(run_id)}
    manifest = volume / "versions" / printed["version"] / layout.MANIFEST
    assert json.loads(server.artefact(run_id, "manifest.json")) == json.loads(manifest.read_bytes())
    assert json.loads(server.artefact(run_id, "gates.json")) == printed["gates"]


def test_a_variable_sets_the_server_and_a_failed_gate_is_a_tag(server, interactions, tmp_path, request):
    done = call(
        *("train", "--interactions", interactions, *QUICK, "--volume", tmp_path / "volume"),
        *("--min-auc", "0.99999"),
        TRAINER_MLFLOW_URI=server.uri,
        TRAINER_MLFLOW_EXPERIMENT=request.node.name,
        TRAINER_MLFLOW_TIMEOUT="100",
    )
    assert done.returncode == 3
    info, _, _ = server.run_of(request.node.name)
    assert info["status"] == "FINISHED"
    assert info["tags"]["gates"] == "failed"
    assert "min_auc" in info["tags"]["gates_failed"]
    assert info["tags"]["label_moved"] == "false"


def test_a_training_that_fails_is_there_with_its_error(server, flags, tmp_path, request):
    done = call("train", "--interactions", "/none.csv", "--volume", tmp_path / "volume", *flags)
    assert done.returncode == 1
    info, parameters, _ = server.run_of(request.node.name)
    assert info["status"] == "FAILED"
    assert info["tags"]["error"] == "/none.csv: No such file or directory"
    assert parameters["data.interactions"] == "/none.csv"


def test_a_training_that_is_interrupted_is_there_as_killed(
    server, flags, interactions, tmp_path, request
):
    size = ("--components", "512", "--epochs", "10000")
    where = ("--volume", tmp_path / "volume")
    # On a terminal the bar shows when the training begins.
    terminal, its_end = pty.openpty()
    command = ["train", "--interactions", interactions, *size, *where, *flags]
    with start(*command, stderr=its_end, TERM="xterm") as process:
        os.close(its_end)
        shown = b""
        while b"Training, epochs" not in shown:
            shown += os.read(terminal, 1000)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # which is how a terminal says that nobody writes any more
            while os.read(terminal, 1000):
                pass
        process.wait(timeout=100)
    os.close(terminal)
    assert process.returncode == 130
    info, _, _ = server.run_of(request.node.name)
    assert (info["status"], info["tags"]["error"]) == ("KILLED", "interrupted")


def test_a_search_is_there_with_its_trials(server, flags, interactions, tmp_path, request):
    output = tmp_path / "study"
    done = call("tune", "--interactions", interactions, *_TRIALS, "--output", output, *flags)
    assert done.returncode == 0, done.stderr
    info, parameters, metrics = server.run_of(request.node.name)
    found = json.loads((output / "study.json").read_text())
    assert parameters["hyperparameters.epochs"] == str(found["hyperparameters"]["epochs"])
    assert found["test"].items() <= metrics.items()
    run_id = info["run_id"]
    values = [(own["number"], own["value"]) for own in found["trials"] if own["value"] is not None]
    assert server.history(run_id, "trial.value") == values
    assert server.artefact(run_id, "study.json") == (output / "study.json").read_bytes()
    assert server.artefact(run_id, "study.png") == (output / "study.png").read_bytes()
    table = server.artefact(run_id, "trials.csv").decode().splitlines()
    assert len(table) == 1 + len(found["trials"])


def test_the_runs_of_a_service_are_there_as_they_ended(server, interactions, tmp_path, request):
    flags = {"mlflow_uri": server.uri, "mlflow_experiment": request.node.name}
    flags["mlflow_timeout"] = 100
    volume = tmp_path / "volume"
    with TrainerService(volume, tmp_path / "state", data_root=interactions.parent, **flags) as service:
        good, unwanted = service.submit(of_file()), service.submit(long())
        assert service.end(good).state == SUCCEEDED
        service.wait_for(unwanted, trains)
        assert service.cancel(unwanted).state == CANCELLED
        # A stop would wait for some seconds only.
        wait_until(lambda: service.log.count(" in MLflow") == 2, seconds=220)
        assert service.log.count(" is in MLflow") == 2, service.log
    runs = {
        tags["training_run"]: (own["info"]["status"], tags)
        for own in server.runs(request.node.name)
        for tags in [{tag["key"]: tag["value"] for tag in own["data"]["tags"]}]
    }
    assert {run_id: status for run_id, (status, _) in runs.items()} == {
        good: "FINISHED",
        unwanted: "KILLED",
    }
    _, tags = runs[good]
    assert (tags["label_moved"], tags["command"]) == ("true", "serve")
    assert (volume / "versions" / tags["version"]).is_dir()


def test_a_large_run_is_whole(server, request):
    options = TrackingOptions(uri=server.uri, experiment=request.node.name, seconds=100)
    delivery = send(RUN, options)
    assert delivery.problem == ""
    info, parameters, _ = server.run_of(request.node.name)
    assert delivery.url.endswith(f"/runs/{info['run_id']}")
    assert parameters == RUN.parameters
    history = server.history(info["run_id"], "loss")
    assert history == [(point.step, point.value) for point in RUN.metrics]
    assert (info["start_time"], info["end_time"]) == (1_000, 2_000)


def test_a_deleted_experiment_is_named(server, request):
    made = server.call("experiments/create", name=request.node.name)
    server.call("experiments/delete", experiment_id=made["experiment_id"])
    delivery = send(RUN, TrackingOptions(uri=server.uri, experiment=request.node.name, seconds=100))
    assert delivery.url == ""
    assert f"its experiment {request.node.name!r} is deleted: restore it" in delivery.problem


def test_a_server_chooses_no_folder_of_this_machine(tmp_path):
    if not mlflow_server.installed():
        pytest.skip(mlflow_server.MISSING)
    (tmp_path / "chosen").mkdir()
    chosen = ("--no-serve-artifacts", "--default-artifact-root", str(tmp_path / "chosen"))
    with mlflow_server.server(tmp_path, *chosen) as running:
        delivery = send(RUN, TrackingOptions(uri=running.uri, seconds=100))
        info, parameters, _ = running.run_of("lightfm-retriever")
    assert "its artefacts are missing: the server keeps them in" in delivery.problem
    assert (info["status"], parameters) == ("FINISHED", RUN.parameters)
    assert not [*(tmp_path / "chosen").rglob("*.json")]


NOT_FOUND = b"HTTP/1.1 404 No\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"
REFUSING = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
JUNK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "it doesn't answer"),
        (drips, "it took longer than 12 s"),
        (says(b""), "it can't be reached: "),
        (says(REFUSING), "401"),
        (says(NOT_FOUND), "404"),
        (says(JUNK), ""),
    ],
    ids=["hangs", "drips", "hangs-up", "refuses", "isn't-one", "junk"],
)
def test_a_server_that_misbehaves_costs_some_seconds_and_says_why(answer, problem, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # Only the dripping one is ended by this time. A busy machine needs more of it for the others.
    seconds = 12 if answer is drips else 60
    with misbehaving(answer) as uri:
        delivery = send(RUN, TrackingOptions(uri=uri.replace("//", "//u:geheim@"), seconds=seconds))
    assert delivery.url == ""
    assert problem in delivery.problem
    assert len(delivery.problem.splitlines()) == 1
    assert "geheim" not in delivery.problem


def test_a_training_goes_on_without_its_server(interactions, tmp_path):
    uri = f"http://u:geheim@127.0.0.1:{free_port()}"
    done = call(
        *("train", "--interactions", interactions, *QUICK, "--volume", tmp_path / "volume"),
        TRAINER_MLFLOW_URI=uri,
    )
    assert done.returncode == 0
    assert "label 'current' names it" in done.stdout
    [warning] = [line for line in done.stderr.splitlines() if "MLflow" in line]
    assert warning.startswith("warning: run ")
    shown = uri.replace("u:geheim", "***")
    reason = "it can't be reached: Connection refused; the run itself isn't affected"
    assert warning.endswith(f" isn't in MLflow at {shown}: {reason}")
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert "geheim" not in done.stdout + done.stderr
    assert not [content for content in written if b"geheim" in content]


def test_a_service_whose_server_hangs_trains_on_and_stops(interactions, tmp_path):
    with ExitStack() as stack:
        uri = stack.enter_context(misbehaving(None))
        flags = {"data_root": interactions.parent, "mlflow_uri": uri.replace("//", "//u:geheim@")}
        state = tmp_path / "state"
        service = stack.enter_context(TrainerService(tmp_path / "volume", state, **flags))
        # The second doesn't wait for the first one's 10 seconds and more.
        for _ in range(2):
            assert service.end(service.submit(of_file())).state == SUCCEEDED
        for command, file in (("runs", "runs.csv"), ("versions", "versions.json")):
            done = call(command, "--target", service.target, "--export", tmp_path / file)
            assert done.returncode == 0, done.stderr
        assert service.terminate() == 0
    with (tmp_path / "runs.csv").open(newline="") as lines:
        runs = [*csv.DictReader(lines)]
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert [run["version"] for run in runs] == [version["version"] for version in versions]
    for run, version in zip(runs, versions, strict=True):
        assert (run["state"], run["params.hyperparameters.epochs"]) == ("SUCCEEDED", "2")
        assert float(run["metrics.test_auc"]) == version["metrics"]["test_auc"]
    log = (tmp_path / "state.log").read_text()
    assert "MLflow" in log
    assert "geheim" not in log
