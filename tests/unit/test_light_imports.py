"""What a process of the retriever loads."""

import pkgutil
import subprocess
import sys

import pytest

import lightfm_retriever
import retriever

HEAVY = {"lightfm", "scipy", "sklearn", "pandas", "polars", "pyarrow", "matplotlib", "trainer"}
GRPC = {"grpc", "grpc_health", "grpc_reflection", "grpc_status", "recsys", "google"}
# `__main__` runs when it is imported as what it is named.
MODULES = [
    module.name
    for package in (lightfm_retriever, retriever)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
WORKER, FLAGS = "retriever.worker.worker", "lightfm_retriever.hosting.settings.flags"
TRACES = "lightfm_retriever.hosting.observing.call_traces"
BACKENDS = "retriever.index.faiss, retriever.index.nmslib"


@pytest.mark.parametrize(
    ("modules", "present", "absent"),
    [
        ("retriever", "retriever", HEAVY | GRPC | {"numpy", "annoy", "lightfm_retriever"}),
        (", ".join(MODULES), "retriever lightfm_retriever numpy annoy grpc", HEAVY),
        # All backends but Annoy are optional extras, and take memory.
        (f"{WORKER}, retriever.answering.snapshot", "numpy grpc", {"faiss", "nmslib", "annoy"}),
        (f"retriever.client, {WORKER}, trainer.service.server", "grpc", {"opentelemetry"}),
        ("retriever.__main__", "lightfm_retriever", HEAVY | GRPC | {"numpy", "msgspec", "argparse"}),
        # A process that has loaded gRPC must not fork, and the parent starts all others.
        (f"retriever.parent.supervisor, retriever.program, {FLAGS}", "msgspec", GRPC | HEAVY),
        # A notebook imports the libraries of the models when it fits one.
        ("lightfm_workbench", "trainer retriever", (HEAVY | GRPC | {"rich"}) - {"trainer"}),
        # What is absent above would be seen.
        (f"trainer.fitting.embeddings, {BACKENDS}", "trainer lightfm scipy faiss nmslib", set()),
        (TRACES, "opentelemetry", set()),
    ],
    ids=[
        "retriever",
        "all",
        "worker",
        "traces",
        "program",
        "parent",
        "workbench",
        "libraries",
        "tracing",
    ],
)
def test_nothing_is_loaded_that_is_not_needed(modules, present, absent):
    code = f"import sys, {modules}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert loaded >= {*present.split()}
    assert not loaded & absent
