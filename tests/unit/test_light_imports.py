"""What a process of the retriever loads. Each import is made in a fresh interpreter."""

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


def loaded(*modules):
    """The top-level packages in memory after importing these."""
    code = f"import sys, {', '.join(modules)}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*done.stdout.split()}


def test_importing_the_retriever_loads_next_to_nothing():
    # What is heavy would be seen.
    assert loaded("trainer.fitting.embeddings") >= {"trainer", "lightfm", "scipy"}
    assert not loaded("retriever") & (HEAVY | GRPC | {"numpy", "annoy", "lightfm_retriever"})


def test_every_module_together_loads_nothing_heavy():
    packages = loaded("retriever", *MODULES)
    assert not packages & HEAVY
    # The set isn't empty by mistake.
    assert packages >= {"retriever", "lightfm_retriever", "numpy", "annoy", "grpc"}


def test_a_worker_loads_no_backend_until_a_publication_needs_it():
    """All but Annoy are optional extras, and take memory."""
    packages = loaded("retriever.worker.worker", "retriever.answering.snapshot")
    assert packages >= {"retriever", "numpy", "grpc"}
    assert not packages & {"faiss", "nmslib", "annoy"}
    assert "faiss" in loaded("retriever.index.faiss")
    assert "nmslib" in loaded("retriever.index.nmslib")


def test_nobody_loads_opentelemetry_who_sends_no_traces():
    servers = ("retriever.worker.worker", "trainer.service.server")
    assert "opentelemetry" not in loaded("retriever.client", *servers)
    assert "opentelemetry" in loaded("lightfm_retriever.hosting.observing.call_traces")


@pytest.mark.parametrize(
    "module",
    ["retriever.parent.supervisor", "retriever.__main__", "lightfm_retriever.hosting.settings.flags"],
)
def test_the_parent_loads_no_grpc(module):
    """A process that has loaded it must not fork, and the parent starts all others."""
    assert not loaded(module) & (GRPC | HEAVY)
