"""The runbook's first commands in a pod of docker/kubernetes: with its flags, variables and files."""

from __future__ import annotations

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


def write_secret(name, folder):
    """Write the files of a Secret as its Certificate asks for them."""
    [spec] = [
        own["spec"]
        for own in kustomize.render(FOLDER / "cert-manager")
        if own["kind"] == "Certificate" and own["spec"]["secretName"] == name
    ]
    Secret(folder, issue(*spec["dnsNames"], common_name=spec["commonName"]))


class Pod:
    """A container of a Deployment, whose folders are a test's."""

    def __init__(self, name, folder):
        [found] = [
            own
            for own in kustomize.render(FOLDER)
            if (own["kind"], own["metadata"]["name"]) == ("Deployment", name)
        ]
        spec = kustomize.template(found)["spec"]
        [self._container] = spec["containers"]
        [secret] = [own["secret"]["secretName"] for own in spec["volumes"] if "secret" in own]
        self._name, self._folder = name, folder
        write_secret(secret, folder / "tls")

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
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RETRIEVER_", "TRAINER_"))
        }
        return subprocess.run(
            [sys.executable, "-m", self._name, *arguments, "--target", target],
            env={**inherited, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def _here(self, value):
        return str(self._folder / value.removeprefix("/")) if value.startswith("/tls/") else value


@pytest.mark.parametrize(("name", "command"), [("retriever", "status"), ("trainer", "runs")])
def test_the_runbooks_first_command_works_in_the_pod(tmp_path, name, command):
    pod = Pod(name, tmp_path)
    (tmp_path / "volume").mkdir()
    flags = pod.flags()
    if name == "retriever":
        variables = {
            own.removeprefix("RETRIEVER_CLIENT_").lower(): value
            for own, value in pod.environment().items()
        }
        security = ClientSecurity(
            ca=Path(variables["ca"]),
            cert=Path(variables["cert"]),
            key=Path(variables["key"]),
            server_name=variables["server_name"],
        )
        flags |= {"drain_seconds": 0, "workers": 1}
        service = Service(tmp_path / "volume", tmp_path / "log", security=security, **flags)
    else:
        service = TrainerService(tmp_path / "volume", tmp_path / "state", **flags)
    with service:
        done = pod.run(service.target, command, environment=pod.environment())
        assert (done.returncode, done.stderr) == (0, "")
        # Whoever has no certificate is told so.
        without = pod.run(service.target, command, "--timeout", "1", environment={})
        assert without.returncode == 1
