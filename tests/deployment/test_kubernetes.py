"""docker/kubernetes: valid by Kubernetes' own schemas, and what its parts have to agree about."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from retriever.__main__ import main as retriever_main
from tests.deployment import kustomize
from trainer.__main__ import main as trainer_main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker/kubernetes"
VARIANTS = {"tls": FOLDER, "plaintext": FOLDER / "plaintext"}
# What is applied beside it, where a cluster has what it is for.
CERTIFICATES, MONITORING, NFS = (FOLDER / name for name in ("cert-manager", "monitoring", "nfs"))
# The newest, and one that managed clusters are still found with.
KUBERNETES_VERSIONS = ("1.37", "1.29")
# Of the command lines: the image's ENTRYPOINT, which `args` come after.
COMMANDS = {"lightfm-retriever-retriever": retriever_main, "lightfm-retriever-trainer": trainer_main}


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture
def resources(variant):
    return kustomize.render(VARIANTS[variant])


def examples():
    """The documents' own kustomizations, and what is only patches for one."""
    text = (ROOT / "docs/kubernetes.md").read_text().replace("PATH/docker/kubernetes", str(FOLDER))
    blocks = [yaml.safe_load(own) for own in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return [own for own in blocks if "patches" in own]


@pytest.fixture
def with_nfs(tmp_path):
    """What a folder of an operator's own makes, with volumes of an NFS server, as the documents say."""
    [own] = [block for block in examples() if str(NFS) in block.get("components", [])]
    more = [patch for block in examples() if block.keys() == {"patches"} for patch in block["patches"]]
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({**own, "patches": [*own["patches"], *more]})
    )
    return kustomize.render(tmp_path)


def named(resources, kind, name):
    [found] = [own for own in resources if (own["kind"], own["metadata"]["name"]) == (kind, name)]
    return found


def of_kind(resources, kind):
    return [own for own in resources if own["kind"] == kind]


def pod(resource):
    """The pod's spec, and its one container."""
    spec = kustomize.template(resource)["spec"]
    [container] = spec["containers"]
    return spec, container


def pods(resources):
    return [pod(own) for own in resources if kustomize.template(own)]


def flag(container, name):
    [value] = [own.partition("=")[2] for own in container["args"] if own.startswith(f"--{name}=")]
    return value


def test_kustomizations_list_all_files():
    for file in FOLDER.rglob("kustomization.yaml"):
        listed = set(yaml.safe_load(file.read_text()).get("resources", []))
        beside = {own.name for own in file.parent.glob("*.yaml")} - {file.name}
        assert beside <= listed


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl isn't installed")
@pytest.mark.parametrize("folder", [*VARIANTS.values(), CERTIFICATES, MONITORING])
def test_kubectl_renders_the_same(folder):
    resources = kustomize.render(folder)
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    def by_name(found):
        return {(own["kind"], own["metadata"]["name"]): own for own in found}

    assert by_name(yaml.safe_load_all(done.stdout)) == by_name(resources)


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_schemas_are_kept(resources, with_nfs, version):
    for resource in (*resources, *with_nfs):
        assert kubernetes_validate.validate(resource, version, strict=True) == version


def test_flags_and_values_are_taken_by_the_parsers(resources, capsys):
    for _, container in pods(resources):
        main = COMMANDS[container["image"].rpartition("/")[2].partition(":")[0]]
        # Parsed from left to right: a bad value is told before --help's turn.
        with pytest.raises(SystemExit) as ended:
            main([*container["args"], "--help"])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        given = {own.partition("=")[0] for own in container["args"] if own.startswith("--")}
        assert given <= set(re.findall(r"--[a-z0-9-]+", printed.out))


def test_what_a_pod_needs_to_end_fits_what_it_gets(resources):
    spec, container = pod(named(resources, "Deployment", "retriever"))
    stop = container.get("lifecycle", {}).get("preStop", {})
    needed = stop.get("sleep", {}).get("seconds", 0)
    needed += float(flag(container, "drain-seconds")) + float(flag(container, "grace-seconds"))
    # Beside that the processes have to end.
    assert needed + 5 <= spec["terminationGracePeriodSeconds"]


def test_an_update_loses_no_retriever(resources):
    retriever = named(resources, "Deployment", "retriever")["spec"]
    strategy = retriever["strategy"]
    assert strategy["type"] == "RollingUpdate"
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = named(resources, "PodDisruptionBudget", "retriever")["spec"]
    assert budget["maxUnavailable"] < retriever["replicas"]


def test_retrievers_drain_for_longer_than_envoy_needs_to_see_it(resources):
    _, container = pod(named(resources, "Deployment", "retriever"))
    config = yaml.safe_load((ROOT / "docker/envoy/envoy.yaml").read_text())
    [check] = config["static_resources"]["clusters"][0]["health_checks"]
    interval, timeout = (float(check[name].removesuffix("s")) for name in ("interval", "timeout"))
    assert float(flag(container, "drain-seconds")) > check["unhealthy_threshold"] * interval + timeout


def test_envoy_asks_for_the_headless_service(resources):
    service = named(resources, "Service", "retriever-headless")
    config = yaml.safe_load((ROOT / "docker/envoy/envoy.yaml").read_text())
    [cluster] = config["static_resources"]["clusters"]
    [endpoint] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    metadata = service["metadata"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {
        "address": f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local",
        "port_value": service["spec"]["ports"][0]["port"],
    }
    assert service["spec"]["clusterIP"] == "None"


def test_probes_and_services_ask_ports_that_are_there(resources):
    for deployment in of_kind(resources, "Deployment"):
        _, container = pod(deployment)
        ports = {own["name"]: own["containerPort"] for own in container["ports"]}
        assert str(ports["grpc"]) == flag(container, "listen").rpartition(":")[2]
        assert str(ports["metrics"]) == flag(container, "metrics-listen").rpartition(":")[2]
        for probe, path in (
            ("startupProbe", "/live"),
            ("readinessProbe", "/ready"),
            ("livenessProbe", "/live"),
        ):
            asked = container[probe]["httpGet"]
            assert (asked["path"], asked["port"]) == (path, "metrics")
        annotations = kustomize.template(deployment)["metadata"]["annotations"]
        assert annotations["prometheus.io/port"] == str(ports["metrics"])
        name = deployment["metadata"]["name"]
        services = [own for own in of_kind(resources, "Service") if name in own["metadata"]["name"]]
        assert services
        for service in services:
            offered = {own["targetPort"]: own["port"] for own in service["spec"]["ports"]}
            assert offered["grpc"] == ports["grpc"]
            # Behind one address a single pod would answer for all.
            scraped = service["spec"].get("clusterIP") == "None" or deployment["spec"]["replicas"] == 1
            assert offered == (ports if scraped else {"grpc": ports["grpc"]})
        policy = named(resources, "NetworkPolicy", name)["spec"]
        assert {own["ports"][0]["port"] for own in policy["ingress"]} == ports.keys()


def test_every_selector_selects_pods(resources):
    labels = {
        own["metadata"]["name"]: kustomize.template(own)["metadata"]["labels"]
        for own in resources
        if kustomize.template(own)
    }

    def selected(wanted):
        return {name for name, own in labels.items() if wanted.items() <= own.items()}

    for deployment in of_kind(resources, "Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        assert selected(spec["selector"]["matchLabels"]) == {name}
        for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
            assert selected(spread["labelSelector"]["matchLabels"]) == {name}
    for service in of_kind(resources, "Service"):
        name = service["metadata"]["name"].removesuffix("-headless")
        assert selected(service["spec"]["selector"]) == {name}
    budget = named(resources, "PodDisruptionBudget", "retriever")
    assert selected(budget["spec"]["selector"]["matchLabels"]) == {"retriever"}
    for policy in of_kind(resources, "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        name = policy["metadata"]["name"]
        assert selected(wanted) == (set(labels) if name == "nothing" else {name})


def test_only_the_trainer_writes_the_volume(resources):
    claims = {
        own["metadata"]["name"]: own["spec"]["accessModes"]
        for own in of_kind(resources, "PersistentVolumeClaim")
    }
    writers = {}
    for resource in filter(kustomize.template, resources):
        spec, container = pod(resource)
        mounts = {own["name"]: own for own in container["volumeMounts"]}
        # What isn't mounted isn't needed, and the reverse isn't possible.
        assert mounts.keys() == {own["name"] for own in spec["volumes"]}
        for volume in spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                reads = mounts[volume["name"]].get("readOnly", False)
                assert reads == claim.get("readOnly", False)
                assert claim["claimName"] in claims
                if not reads:
                    writers.setdefault(claim["claimName"], set()).add(resource["metadata"]["name"])
    assert writers == {"publications": {"trainer", "training"}, "trainer-state": {"trainer"}}
    assert claims["publications"] == ["ReadWriteMany"]
    # Retrievers read what the trainer wrote.
    assert len({str(spec["securityContext"]) for spec, _ in pods(resources)}) == 1


def test_every_path_in_a_flag_is_mounted(resources):
    for _, container in pods(resources):
        mounts = [Path(own["mountPath"]) for own in container["volumeMounts"]]
        values = [own.partition("=")[2] for own in container["args"]]
        for path in (Path(value) for value in values if value.startswith("/")):
            assert any(path.is_relative_to(mount) for mount in mounts), path


def test_pods_may_do_no_more_than_they_need(resources):
    for spec, container in pods(resources):
        assert spec["automountServiceAccountToken"] is False
        # RETRIEVER_PORT=tcp://... would be taken for a setting of ours.
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
    nothing = named(resources, "NetworkPolicy", "nothing")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_tls_is_the_default_and_plaintext_has_to_be_asked_for():
    for variant, secure in (("tls", True), ("plaintext", False)):
        for deployment in of_kind(kustomize.render(VARIANTS[variant]), "Deployment"):
            spec, container = pod(deployment)
            flags = {own.partition("=")[0] for own in container["args"]}
            assert ({"--tls-cert", "--tls-key", "--tls-client-ca"} <= flags) == secure
            assert ("--insecure" in flags) != secure
            secrets = [own["secret"]["secretName"] for own in spec["volumes"] if "secret" in own]
            assert secrets == ([f"{deployment['metadata']['name']}-tls"] if secure else [])


def test_every_secret_that_is_mounted_has_a_certificate():
    resources = kustomize.render(FOLDER)
    certificates = of_kind(kustomize.render(CERTIFICATES), "Certificate")
    by_secret = {own["spec"]["secretName"]: own["spec"] for own in certificates}
    assert len(by_secret) == len(certificates)
    for deployment in of_kind(resources, "Deployment"):
        spec, container = pod(deployment)
        [secret] = [own["secret"]["secretName"] for own in spec["volumes"] if "secret" in own]
        certificate = by_secret[secret]
        name = deployment["metadata"]["name"]
        services = [
            own["metadata"]
            for own in of_kind(resources, "Service")
            if own["spec"]["selector"] == {"app.kubernetes.io/name": name}
        ]
        for service in services:
            full = f"{service['name']}.{service['namespace']}.svc.cluster.local"
            assert full in certificate["dnsNames"]
        variables = {own["name"]: own["value"] for own in container["env"]}
        assert variables[f"{name.upper()}_CLIENT_SERVER_NAME"] in certificate["dnsNames"]
        # A command in the pod shows it to the service.
        assert {"server auth", "client auth"} <= set(certificate["usages"])
    # Nobody's clients serve.
    assert "server auth" not in by_secret["shop-tls"]["usages"]


def test_pod_monitors_ask_the_ports_that_pods_have(resources):
    monitors = of_kind(kustomize.render(MONITORING), "PodMonitor")
    assert {own["metadata"]["name"] for own in monitors} == {"retriever", "trainer"}
    scraped = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yaml").read_text())["scrape_configs"]
    jobs = set()
    for monitor in monitors:
        spec = monitor["spec"]
        [deployment] = [
            own
            for own in of_kind(resources, "Deployment")
            if spec["selector"]["matchLabels"].items()
            <= kustomize.template(own)["metadata"]["labels"].items()
        ]
        assert monitor["metadata"]["namespace"] == deployment["metadata"]["namespace"]
        _, container = pod(deployment)
        [endpoint] = spec["podMetricsEndpoints"]
        assert endpoint["port"] in [own["name"] for own in container["ports"]]
        assert endpoint["path"] == "/metrics"
        jobs.add(kustomize.template(deployment)["metadata"]["labels"][spec["jobLabel"]])
    # The alerts and the dashboard go by them.
    assert jobs == {own["job_name"] for own in scraped}


def test_volumes_of_nfs_are_the_claims_own(with_nfs):
    volumes = of_kind(with_nfs, "PersistentVolume")
    assert {own["spec"]["claimRef"]["name"] for own in volumes} == {"publications", "interactions"}
    for volume in volumes:
        spec = volume["spec"]
        claim = named(with_nfs, "PersistentVolumeClaim", spec["claimRef"]["name"])
        assert spec["claimRef"]["namespace"] == claim["metadata"]["namespace"]
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
        # No class: the cluster's default one would make another volume.
        assert claim["spec"]["storageClassName"] == spec["storageClassName"] == ""
        assert spec["accessModes"] == claim["spec"]["accessModes"]
        assert spec["capacity"] == claim["spec"]["resources"]["requests"]
        assert any(own.startswith("nfsvers=4") for own in spec["mountOptions"])
        # The documents' patches are of what is there.
        assert spec["nfs"]["server"] == "YOUR-SERVER"
    groups = {
        own["metadata"]["name"]: pod(own)[0]["securityContext"].get("supplementalGroups")
        for own in with_nfs
        if kustomize.template(own)
    }
    assert groups == {"retriever": None, "trainer": [2000], "training": [2000]}
    # SQLite stays on a disk.
    assert "volumeName" not in named(with_nfs, "PersistentVolumeClaim", "trainer-state")["spec"]


def _filled(command):
    """A command of the runbook with values in place of the words that stand for some."""
    command = command.replace("DIR", "/volume")
    return re.sub(r"\b(OLD|NEW|NAME|VERSION|V)\b", "20261124T043500Z-3fa9c1", command)


def runbook():
    """The runbook's commands: of operating.md, and of kubernetes.md with the pod that they run in."""
    text = (ROOT / "docs/operating.md").read_text().partition("\n## Runbook\n")[2]
    found = [
        ("retriever" if own[0] == "retriever" else "trainer", *own) for own in _COMMAND.findall(text)
    ]
    text = (ROOT / "docs/kubernetes.md").read_text()
    return [*dict.fromkeys([*found, *_IN_A_POD.findall(text)])]


_COMMAND = re.compile(r"python -m (retriever|trainer) ([^`\n#]*[^`\n# ])")
_IN_A_POD = re.compile(rf"kubectl -n recsys exec deploy/(\w+) -- {_COMMAND.pattern}")


def test_the_runbooks_commands_are_run_in_the_pod_that_has_them(resources, monkeypatch, capsys):
    commands = runbook()
    assert ("retriever", "retriever", "status") in commands
    assert ("trainer", "trainer", "runs") in commands
    for name, package, text in commands:
        _, container = pod(named(resources, "Deployment", name))
        image = container["image"].rpartition("/")[2].partition(":")[0]
        assert image == f"lightfm-retriever-{package}"
        files = [Path(own["value"]) for own in container.get("env", []) if own["value"][:1] == "/"]
        mounts = [Path(own["mountPath"]) for own in container["volumeMounts"]]
        assert all(any(file.is_relative_to(mount) for mount in mounts) for file in files)
        with monkeypatch.context() as patch:
            for own in container.get("env", []):
                patch.setenv(own["name"], own["value"])
            with pytest.raises(SystemExit) as ended:
                COMMANDS[image]([*shlex.split(_filled(text)), "--help"])
        assert ended.value.code == 0, f"{text}: {capsys.readouterr().err}"
        flags = set(re.findall(r"--[a-z0-9-]+", text))
        assert flags <= set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
