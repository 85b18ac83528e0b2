"""docker/prometheus/ goes by the names that the services really export, and by what is written of them.

What Prometheus itself says of the files is in tests/integration/test_prometheus.py.
"""

import itertools
import json
import re
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.volume import Volume
from retriever import control, counters
from retriever.parent.metrics import RetrieverMetrics
from tests import publications, specs
from trainer.event_log.event import Stats
from trainer.runs.store import FINAL, Outcome, RunStore
from trainer.service.metrics import ServiceCollector

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docker/prometheus"
RUNBOOK = ROOT / "docs/how-to/alerts-and-runbook.md"
CONFIG = yaml.safe_load((FILES / "prometheus.yaml").read_text())
GROUPS = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
CASES = yaml.safe_load((FILES / "alerts_test.yaml").read_text())["tests"]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
ANNOTATIONS = DASHBOARD["annotations"]["list"]
EXPRESSIONS = [own["expr"] for own in (*RULES, *TARGETS, *ANNOTATIONS)]
SERVICES = {"retriever", "trainer"}
# What Prometheus itself adds.
SCRAPED = {"job": SERVICES, "instance": set(), "le": set()}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """All series there can be: by name, the labels and their values."""
    volume = tmp_path_factory.mktemp("metrics")
    labels.promote(volume, publications.publish(volume))
    with closing(RunStore(volume / "state")) as store:
        # Every outcome was told to it.
        for state in sorted(FINAL):
            store.add(state, specs.spec(), request_id="", now=0.0)
            store.start_next(now=1.0)
            store.end(state, state, Outcome(seconds={"fit": 1.0}), now=2.0)
        trainer = ServiceCollector(store, Volume(volume), lambda: Stats(events=1, bytes=1))
        families = [*trainer.collect(), *_retriever().collect()]
    found: dict[str, dict[str, set[str]]] = {}
    for family in families:
        for suffix in SUFFIXES[family.type]:
            found[family.name + suffix] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name].setdefault(label, set()).add(value)
    return found


def _retriever() -> RetrieverMetrics:
    """One where everything has happened."""
    version = "20261124T120000Z-3fa9c1"
    times = {"started_at": 1.0, "serving_since": 1.0}
    worker = control.WorkerFacts(index=0, pid=1, state="running", version=version, restarts=0, **times)
    fleet = control.ServiceState(label="current", version=version, workers=[worker])
    metrics = RetrieverMetrics(1, lambda: fleet)
    (slot,) = metrics.slots
    for method, code in itertools.product(counters.METHODS, counters.CODES):
        slot.ended(method, code, 0.01)
    slot.serve(version)
    slot.sampled(version, found=9, expected=10)
    for succeeded in (True, False):
        metrics.reloaded(control.ReloadFacts(version, succeeded, "", seconds=1.0, ended_at=1.0))
    return metrics


def test_expressions_name_series_that_are_exported_and_all_of_them(exported):
    text = " ".join(EXPRESSIONS)
    named = {*re.findall(r"\b(?:retriever|trainer)_\w+", text)}
    assert named <= exported.keys()
    assert len(named) > 30
    assert not [name for name in exported if re.sub("_(bucket|sum|count)$", "", name) not in text]


def test_expressions_select_by_labels_and_values_that_there_are(exported):
    selected = 0
    for expression in EXPRESSIONS:
        for name, matchers in re.findall(r"\b(\w+)\{([^}]*)\}", expression):
            known = {**exported.get(name, {}), **SCRAPED}
            for label, comparison, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
                assert label in known, f"{name} has no label {label}: {expression}"
                values = value.split("|") if comparison.endswith("~") else [value]
                if known[label] and label != "metric" and not value.startswith("$"):
                    assert {*values} <= known[label], f"{name}: {expression}"
                    selected += 1
    assert selected > 30


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_an_alert_is_tried_as_it_must_fire_and_as_it_must_not(alert):
    every = [tried for case in CASES for tried in case["alert_rule_test"]]
    tried = [own for own in every if own["alertname"] == alert]
    assert {bool(own["exp_alerts"]) for own in tried} == {True, False}


def test_the_dashboard_asks_the_data_source_that_is_chosen():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    chosen = {"type": "datasource", "query": "prometheus"}
    assert chosen.items() <= variables["datasource"].items()
    for asking in [*PANELS, *TARGETS, *ANNOTATIONS, variables["instance"]]:
        assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = {name for expression in EXPRESSIONS for name in re.findall(r"\$\{?(\w+)", expression)}
    assert used == {"instance", "__rate_interval", "__range"}
