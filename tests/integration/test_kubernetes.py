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


class Pod:
    """A container of a Deployment, whose folders are a test's, and its Secret as it is asked for."""

    def __init__(self, name, folder):
        self._name, self._folder = name, folder
        deployment = kustomize.named(kustomize.render(FOLDER), "Deployment", name)
        spec, self._container = kustomize.pod(deployment)
        secret = kustomize.secret_of(spec)
        certificates = [own["spec"] for own in kustomize.render(FOLDER / "cert-manager")]
        [wanted] = [own for own in certificates if own.get("secretName") == secret]
        Secret(folder / "tls", issue(*wanted["dnsNames"], common_name=wanted["commonName"]))

    def flags(self):
        """Of `serve`, by their names with _ for -."""
        pairs = [own.removeprefix("--").partition("=") for own in self._container["args"][1:]]
        return {
            name.replace("-", "_"): self._here(value) for name, _, value in pairs if name not in _OWN
        }

    def environment(self):
        return {own["name"]: self._here(own["value"]) for own in self._container.get("env", [])}

    def run(self, target, *arguments, environment):
        """`python -m ...` as kubectl exec runs it; the pod's port is the default one."""
        prefixes = ("RETRIEVER_", "TRAINER_")
        inherited = {name: own for name, own in os.environ.items() if not name.startswith(prefixes)}
        command = [sys.executable, "-m", self._name, *arguments, "--target", target]
        how = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE}
        return subprocess.run(command, env={**inherited, **environment}, check=False, **how)

    def _here(self, value):
        return str(self._folder / value.removeprefix("/")) if value.startswith("/tls/") else value


@pytest.mark.parametrize(("name", "command"), [("retriever", "status"), ("trainer", "runs")])
def test_the_runbooks_first_command_works_in_the_pod(tmp_path, name, command):
    pod = Pod(name, tmp_path)
    (tmp_path / "volume").mkdir()
    flags, environment = pod.flags(), pod.environment()
    if name == "retriever":
        files = ("ca", "cert", "key", "server_name")
        security = {file: environment[f"RETRIEVER_CLIENT_{file.upper()}"] for file in files}
        flags |= {"security": ClientSecurity(**security), "drain_seconds": 0, "workers": 1}
        service = Service(tmp_path / "volume", tmp_path / "log", **flags)
    else:
        service = TrainerService(tmp_path / "volume", tmp_path / "state", **flags)
    with service:
        done = pod.run(service.target, command, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        # Whoever has no certificate is told so.
        without = pod.run(service.target, command, "--timeout", "1", environment={})
        assert without.returncode == 1
