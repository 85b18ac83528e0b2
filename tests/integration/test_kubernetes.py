"""The runbook's first commands in a pod of docker/kubernetes: with its flags, variables and files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightfm_retriever.hosting.security.settings import ClientSecurity
from tests.certificates import Secret, issue
from tests.deployment import kustomize
from tests.service import Service
from tests.trainer_service import TrainerService

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker/kubernetes"
PATIENCE = 60
# What a test has elsewhere than a pod.
_OWN = ("volume", "state", "listen", "metrics-listen", "data-root")


def pod(name, folder):
    """The flags of a Deployment's `serve`, by their names with _ for -, and its variables.

    Its Secret is in a folder of the test's, as it is asked for.
    """
    spec, container = kustomize.pod(kustomize.named(kustomize.render(FOLDER), "Deployment", name))
    secret = kustomize.secret_of(spec)
    certificates = [own["spec"] for own in kustomize.render(FOLDER / "cert-manager")]
    [wanted] = [own for own in certificates if own.get("secretName") == secret]
    Secret(folder / "tls", issue(*wanted["dnsNames"], common_name=wanted["commonName"]))

    def here(value):
        return str(folder / value.removeprefix("/")) if value.startswith("/tls/") else value

    pairs = [own.removeprefix("--").partition("=") for own in container["args"][1:]]
    flags = {flag.replace("-", "_"): here(value) for flag, _, value in pairs if flag not in _OWN}
    return flags, {own["name"]: here(own["value"]) for own in container.get("env", [])}


def run(*arguments, environment):
    """`python -m ...` as kubectl exec runs it."""
    prefixes = ("RETRIEVER_", "TRAINER_")
    inherited = {name: own for name, own in os.environ.items() if not name.startswith(prefixes)}
    how = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env={**inherited, **environment}, check=False, **how)


@pytest.mark.parametrize(("name", "command"), [("retriever", "status"), ("trainer", "runs")])
def test_the_runbooks_first_command_works_in_the_pod(tmp_path, name, command):
    flags, environment = pod(name, tmp_path)
    (tmp_path / "volume").mkdir()
    if name == "retriever":
        files = ("ca", "cert", "key", "server_name")
        security = {file: environment[f"RETRIEVER_CLIENT_{file.upper()}"] for file in files}
        flags |= {"security": ClientSecurity(**security), "drain_seconds": 0, "workers": 1}
        service = Service(tmp_path / "volume", tmp_path / "log", **flags)
    else:
        service = TrainerService(tmp_path / "volume", tmp_path / "state", **flags)
    with service:
        # The pod's port is the default one.
        asking = [name, command, "--target", service.target]
        done = run(*asking, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        # Whoever has no certificate is told so.
        assert run(*asking, "--timeout", "1", environment={}).returncode == 1
