"""The packages of each extra, and the command that installs a missing one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

DISTRIBUTION = "lightfm-retriever"

_BASE = ("marisa_trie", "msgspec", "numpy")
_SERVICE = (
    "annoy",
    "cryptography",
    "google",
    "grpc",
    "grpc_health",
    "grpc_reflection",
    "grpc_status",
    "prometheus_client",
    "rich",
    "shtab",
)
MODULES: dict[str, tuple[str, ...]] = {
    "retriever": _SERVICE,
    "trainer": (*_SERVICE, "cronsim", "lightfm", "pyarrow", "scipy", "threadpoolctl"),
    "faiss": ("faiss",),
    "nmslib": ("nmslib",),
    "otlp": ("opentelemetry",),
    "store": ("obstore",),
    "spark": ("pyspark", "py4j"),
    "models": ("implicit",),
    "tune": ("optuna",),
    "mlflow": ("mlflow",),
    "sql": ("adbc_driver_manager", "adbc_driver_postgresql", "adbc_driver_sqlite"),
    "report": ("matplotlib", "sklearn"),
}
"""The modules of each extra of pyproject.toml that users install."""

SERVED_WITH = tuple(name for name in _SERVICE if name not in ("annoy", "cryptography", "rich", "shtab"))
"""The modules that every retriever needs. Other modules are for some publications and flags only."""

ASKED_WITH = ("google.protobuf", "google.rpc", "grpc", "grpc_health", "grpc_status")
"""The modules that the Python clients need."""

# Packages with another name than their module.
_PACKAGES = {
    "faiss": "faiss-cpu",
    "google": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "grpc_status": "grpcio-status",
    "lightfm": "rectools-lightfm",
    "mlflow": "mlflow-skinny",
    "opentelemetry": "opentelemetry-sdk",
    "sklearn": "scikit-learn",
}


def package_of(module: str) -> str:
    """Return the package that contains a module."""
    if module in _PACKAGES:
        return _PACKAGES[module]
    top = module.partition(".")[0]
    return _PACKAGES.get(top, top.replace("_", "-"))


def install_command(module: str, program: str) -> str | None:
    """Return the command that installs a module; None if no extra has the module.

    Args:
        module: its name in an import statement.
        program: "retriever" or "trainer": the extra to prefer if several have the module.
    """
    top = module.partition(".")[0]
    if top in _BASE:
        return f"pip install {DISTRIBUTION}"
    for extra in (program, *MODULES):
        if top in MODULES[extra]:
            return f"pip install '{DISTRIBUTION}[{extra}]'"
    return None


def problem(error: ModuleNotFoundError, program: str, what: str) -> str | None:
    """Say that `what` needs a missing module, and how to install it; None if no extra has it."""
    if error.name is None or (command := install_command(error.name, program)) is None:
        return None
    return f"{what} needs {package_of(error.name)!r}, which isn't installed: {command}"


def first_missing(modules: Iterable[str]) -> str | None:
    """Return the first of these modules that isn't installed, without importing any."""
    for module in modules:
        try:
            if importlib.util.find_spec(module) is None:
                return module
        except ModuleNotFoundError:
            return module
    return None
