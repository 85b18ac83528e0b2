import json
import math
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from lightfm_retriever.publication import manifest as manifests
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.volume import Volume
from tests import publications, specs
from trainer.index import make_backends
from trainer.pipeline import VectorsSpec
from trainer.promotion.gates import GateResult
from trainer.publishing.own_vectors import OwnVectors
from trainer.publishing.publish import Indexing
from trainer.spec import DataSpec
from trainer.tracking.tracked_run import (
    EndedRun,
    describe,
    describe_study,
    flat,
    manifest_metrics,
    manifest_parameters,
    version_row,
)

GATES = [
    GateResult("min_auc", True, 0.9, 0.5, "AUC is 0.9, required at least 0.5"),
    GateResult("min_recall", False, 0.1, 0.8, "recall is 0.1, required at least 0.8"),
]
STUDY = {
    "dataset": "a.csv",
    "split": "time",
    "fit_interactions": 100,
    "options": {"trials": 2},
    "trials": [
        {"number": 0, "state": "failed", "parameters": {"loss": "bpr"}, "value": None, "epochs": 0},
        {"number": 1, "state": "complete", "parameters": {"loss": "warp"}, "value": 0.25, "epochs": 4},
    ],
    "best": 1,
    "hyperparameters": {"loss": "warp", "epochs": 4},
    "test": {"test_auc": 0.75},
    "seconds": 1.5,
    "warnings": [],
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volume")
    return Volume(folder).read_manifest(publications.publish(folder))


def ended(**changes):
    own = {"command": "train", "status": "FINISHED", "started_at": 1.5, "ended_at": 3.25}
    return EndedRun(**{**own, "spec": specs.spec(), **changes})


def test_a_run_has_its_spec_its_version_and_its_gates(manifest):
    run = describe(
        ended(
            manifest=manifest,
            run_id="cli-1",
            gates=GATES,
            seconds={"fit": 2.5},
            warnings=["a column is empty"],
            label="current",
            volume="/volume",
        )
    )
    assert (run.status, run.started_ms, run.ended_ms) == ("FINISHED", 1500, 3250)
    assert run.name == manifest.version
    assert run.parameters["data.interactions"] == "/data/a.csv"
    assert run.parameters["backend"] == "annoy"
    # A version knows better than its spec which hyperparameters it has.
    for name, value in manifest.hyperparameters.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        assert value is None or run.parameters[f"hyperparameters.{name}"] == shown
    assert run.parameters["libraries.numpy"] == manifest.libraries["numpy"]
    values = {point.name: point.value for point in run.metrics}
    assert manifest.metrics.items() <= values.items()
    assert values["recommend.recall_at_10"] == manifest.indexes["recommend"].recall_at_10
    assert values["seconds.fit"] == 2.5
    tags = {"version": manifest.version, "training_run": "cli-1", "label": "current"}
    tags |= {"label_moved": "false", "gates": "failed", "gates_failed": "min_recall"}
    tags |= {"command": "train", "volume": "/volume", "dataset": manifest.dataset.name}
    assert run.tags == {**tags, "warnings": "1"}
    assert manifests.decode(run.texts["manifest.json"].encode(), path="", version=manifest.version)
    assert [own["name"] for own in json.loads(run.texts["gates.json"])] == ["min_auc", "min_recall"]
    assert json.loads(run.texts["warnings.json"]) == ["a column is empty"]


def test_a_run_that_failed_has_its_spec_and_its_error():
    run = describe(ended(status="FAILED", error="a.csv: No such file", metrics={"test_auc": 0.5}))
    assert run.name == "train"
    assert run.tags["error"] == "a.csv: No such file"
    assert [(point.name, point.value) for point in run.metrics] == [("test_auc", 0.5)]
    assert "gates" not in run.tags
    assert {*run.texts} == {"spec.json"}


def test_a_secret_is_never_sent():
    data = DataSpec(interactions_sql="SELECT 1", database_url="postgresql://u:geheim@h/d")
    run = describe(ended(spec=specs.spec(data=data)))
    assert "geheim" not in repr(run)
    assert run.parameters["data.interactions_sql"] == "SELECT 1"
    assert "geheim" not in repr(flat({"spark": {"spark_conf": {"spark.secret": "geheim"}}}))


def test_a_field_that_a_later_release_adds_appears_by_itself(manifest):
    @dataclass(frozen=True, kw_only=True)
    class Later(Manifest):
        family: str = "ease"
        baselines: dict[str, float] = field(default_factory=lambda: {"popularity": 0.25})

    later = Later(**{**vars(manifest), "metrics": {"ndcg_at_20": 0.5}})
    assert manifest_parameters(later)["family"] == "ease"
    assert manifest_metrics(later)["baselines.popularity"] == 0.25
    assert manifest_metrics(later)["ndcg_at_20"] == 0.5
    # Files have checksums, and these are no parameters.
    assert not [name for name in manifest_parameters(later) if "sha256" in name]


def test_vectors_name_their_files_and_the_kinds_of_index():
    files = OwnVectors(item_vectors=Path("v.npy"), item_ids=Path("ids.txt"))
    spec = VectorsSpec(files=files, indexing=Indexing(backends=make_backends("exact,annoy")))
    found = describe(ended(spec=spec)).parameters
    assert found["files.item_vectors"] == "v.npy"
    assert found["indexing.backends"] == "exact,annoy"


def test_a_search_has_each_trial_as_a_step(tmp_path):
    spec = {"data": DataSpec(interactions="a.csv"), "search": {"trials": 2}}
    run = describe_study(ended(command="tune", spec=spec), STUDY, "number\n0\n", [tmp_path / "a.png"])
    assert run.name == "tune a.csv"
    assert run.parameters["hyperparameters.loss"] == "warp"
    assert run.parameters["search.trials"] == "2"
    values = [(own.name, own.value, own.step) for own in run.metrics]
    assert ("test_auc", 0.75, 0) in values
    assert ("trial.value", 0.25, 1) in values
    # A trial that failed has no value.
    assert [step for name, _, step in values if name == "trial.value"] == [1]
    assert [step for name, _, step in values if name == "trial.epochs"] == [0, 1]
    assert run.texts["trials.csv"] == "number\n0\n"
    assert run.files == [str(tmp_path / "a.png")]


def test_a_search_that_failed_has_its_options():
    run = describe_study(ended(command="tune", status="FAILED", spec={"trials": 3}), {}, "", [])
    assert (run.name, run.parameters) == ("tune", {"trials": "3"})
    assert "trials.csv" not in run.texts


def test_a_row_of_a_table_has_the_same_names_as_mlflow(manifest):
    content = json.loads(manifests.encode(manifest))
    row = version_row(content, version=manifest.version)
    assert row["version"] == manifest.version
    run = describe(ended(spec={}, manifest=manifest))
    assert {*row["params"]} >= {*run.parameters}
    assert {*row["metrics"]} == {point.name for point in run.metrics}


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=700)
_nested = st.recursive(
    _scalars | st.lists(_scalars, max_size=3),
    lambda own: st.dictionaries(st.text(max_size=300), own, max_size=4),
    max_leaves=8,
)
_metrics = st.dictionaries(st.text(min_size=1, max_size=300), st.floats(), max_size=5)


@given(st.dictionaries(st.text(min_size=1), _nested, max_size=4), _metrics, st.text(max_size=9000))
def test_mlflow_takes_every_name_and_value(spec, metrics, error):
    """By MLflow's own check of names; its server also refuses names that are other paths."""
    run = describe(ended(spec=spec, metrics=metrics, error=error, status="FAILED"))
    names = [*run.parameters, *(point.name for point in run.metrics), *run.tags]
    for name in names:
        assert validation.validate_param_and_metric_name(name)
        assert posixpath.normpath(name) == name
        assert not name.startswith(".")
        assert len(name) <= validation.MAX_ENTITY_KEY_LENGTH
    assert all(math.isfinite(point.value) for point in run.metrics)
    assert all(len(value.encode()) for value in [*run.parameters.values(), *run.tags.values()])
    assert all(len(value) <= 500 for value in run.parameters.values())
    assert all(len(value) <= 5000 for value in run.tags.values())


def test_every_option_that_is_set_is_a_parameter():
    found = flat(specs.spec(trees=7, target_recall=0.5))
    assert (found["trees"], found["target_recall"]) == (7, 0.5)
    assert all(re.fullmatch(r"[a-z_]+", name.partition(".")[0]) for name in found)
    assert "trees" not in flat(specs.spec())
