"""docker/kubernetes: valid by Kubernetes' own schemas, and what its parts have to agree about."""

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
from tests.deployment.kustomize import named, pod, secret_of
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
def resources(request):
    return kustomize.render(VARIANTS[request.param])


@pytest.fixture
def with_nfs(tmp_path):
    """What a folder of an operator's own makes, with volumes of an NFS server, as the documents say."""
    text = (
        (ROOT / "docs/how-to/kubernetes.md").read_text().replace("PATH/docker/kubernetes", str(FOLDER))
    )
    blocks = [yaml.safe_load(own) for own in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    [own] = [block for block in blocks if str(NFS) in block.get("components", [])]
    # Some blocks are only patches for a kustomization.
    more = [patch for block in blocks if block.keys() == {"patches"} for patch in block["patches"]]
    text = yaml.safe_dump({**own, "patches": [*own["patches"], *more]})
    (tmp_path / "kustomization.yaml").write_text(text)
    return kustomize.render(tmp_path)


def of_kind(resources, kind):
    return [own for own in resources if own["kind"] == kind]


def with_pods(resources):
    """Those that make pods, by their names."""
    return {own["metadata"]["name"]: own for own in resources if kustomize.template(own)}


def pods(resources):
    return [pod(own) for own in with_pods(resources).values()]


def labels_of(resource):
    return kustomize.template(resource)["metadata"]["labels"]


def envoy():
    """The one cluster of retrievers that Envoy knows."""
    config = yaml.safe_load((ROOT / "docker/envoy/envoy.yaml").read_text())
    [cluster] = config["static_resources"]["clusters"]
    return cluster


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
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, expected = yaml.safe_load_all(done.stdout), kustomize.render(folder)
    assert sorted(map(yaml.safe_dump, found)) == sorted(map(yaml.safe_dump, expected))


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_schemas_are_kept(resources, with_nfs, version):
    for resource in (*resources, *with_nfs):
        assert kubernetes_validate.validate(resource, version, strict=True) == version


def assert_taken(container, arguments, capsys):
    """The container's program takes these flags and values; returns its image's name."""
    image = container["image"].rpartition("/")[2].partition(":")[0]
    # Parsed from left to right: a bad value is told before --help's turn.
    with pytest.raises(SystemExit) as ended:
        COMMANDS[image]([*arguments, "--help"])
    printed = capsys.readouterr()
    assert ended.value.code == 0, f"{arguments}: {printed.err}"
    given = {own.partition("=")[0] for own in arguments if own.startswith("--")}
    assert given <= set(re.findall(r"--[a-z0-9-]+", printed.out))
    return image


def test_flags_and_values_are_taken_by_the_parsers(resources, capsys):
    for _, container in pods(resources):
        assert_taken(container, container["args"], capsys)


def test_a_retriever_that_ends_has_the_time_and_loses_no_call(resources):
    retriever = named(resources, "Deployment", "retriever")
    spec, container = pod(retriever)
    drain = float(flag(container, "drain-seconds"))
    needed = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needed += drain + float(flag(container, "grace-seconds"))
    # Beside that the processes have to end.
    assert needed + 5 <= spec["terminationGracePeriodSeconds"]
    # Envoy has to see it before.
    [check] = envoy()["health_checks"]
    interval, timeout = (float(check[name].removesuffix("s")) for name in ("interval", "timeout"))
    assert drain > check["unhealthy_threshold"] * interval + timeout
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert retriever["spec"]["strategy"] == update
    budget = named(resources, "PodDisruptionBudget", "retriever")["spec"]
    assert budget["maxUnavailable"] < retriever["spec"]["replicas"]


def test_envoy_asks_for_the_headless_service(resources):
    service = named(resources, "Service", "retriever-headless")
    [endpoint] = envoy()["load_assignment"]["endpoints"][0]["lb_endpoints"]
    full = "{name}.{namespace}.svc.cluster.local".format(**service["metadata"])
    address = {"address": full, "port_value": service["spec"]["ports"][0]["port"]}
    assert endpoint["endpoint"]["address"]["socket_address"] == address
    assert service["spec"]["clusterIP"] == "None"


def test_probes_and_services_ask_ports_that_are_there(resources):
    for deployment in of_kind(resources, "Deployment"):
        _, container = pod(deployment)
        ports = {own["name"]: own["containerPort"] for own in container["ports"]}
        for port, name in (("grpc", "listen"), ("metrics", "metrics-listen")):
            assert str(ports[port]) == flag(container, name).rpartition(":")[2]
        for probe, path in (("startup", "/live"), ("readiness", "/ready"), ("liveness", "/live")):
            assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "metrics"}
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
    labels = {name: labels_of(own) for name, own in with_pods(resources).items()}

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
    claims = of_kind(resources, "PersistentVolumeClaim")
    modes = {own["metadata"]["name"]: own["spec"]["accessModes"] for own in claims}
    writers = {}
    for name, resource in with_pods(resources).items():
        spec, container = pod(resource)
        mounts = {own["name"]: own for own in container["volumeMounts"]}
        # What isn't mounted isn't needed, and the reverse isn't possible.
        assert mounts.keys() == {own["name"] for own in spec["volumes"]}
        for volume in spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                reads = mounts[volume["name"]].get("readOnly", False)
                assert reads == claim.get("readOnly", False)
                assert claim["claimName"] in modes
                if not reads:
                    writers.setdefault(claim["claimName"], set()).add(name)
    assert writers == {"publications": {"trainer", "training"}, "trainer-state": {"trainer"}}
    assert modes["publications"] == ["ReadWriteMany"]
    # Retrievers read what the trainer wrote.
    assert len({str(spec["securityContext"]) for spec, _ in pods(resources)}) == 1


def test_pods_have_what_they_need_and_may_do_no_more(resources):
    for spec, container in pods(resources):
        mounts = [Path(own["mountPath"]) for own in container["volumeMounts"]]
        values = [own.partition("=")[2] for own in container["args"]]
        values += [own["value"] for own in container.get("env", [])]
        for path in (Path(value) for value in values if value.startswith("/")):
            assert any(path.is_relative_to(mount) for mount in mounts), path
        assert spec["automountServiceAccountToken"] is False
        # RETRIEVER_PORT=tcp://... would be taken for a setting of ours.
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        wanted = {"runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
        assert wanted.items() <= spec["securityContext"].items()
        nothing = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == {**nothing, "readOnlyRootFilesystem": True}
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
            assert any("secret" in own for own in spec["volumes"]) == secure
            assert not secure or secret_of(spec) == f"{deployment['metadata']['name']}-tls"


def test_every_secret_that_is_mounted_has_a_certificate():
    resources = kustomize.render(FOLDER)
    certificates = of_kind(kustomize.render(CERTIFICATES), "Certificate")
    by_secret = {own["spec"]["secretName"]: own["spec"] for own in certificates}
    assert len(by_secret) == len(certificates)
    for deployment in of_kind(resources, "Deployment"):
        spec, _ = pod(deployment)
        certificate = by_secret[secret_of(spec)]
        name = deployment["metadata"]["name"]
        for service in of_kind(resources, "Service"):
            if service["spec"]["selector"] == {"app.kubernetes.io/name": name}:
                full = "{name}.{namespace}.svc.cluster.local".format(**service["metadata"])
                assert full in certificate["dnsNames"]
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
        wanted = spec["selector"]["matchLabels"].items()
        deployments = of_kind(resources, "Deployment")
        [deployment] = [own for own in deployments if wanted <= labels_of(own).items()]
        assert monitor["metadata"]["namespace"] == deployment["metadata"]["namespace"]
        _, container = pod(deployment)
        [endpoint] = spec["podMetricsEndpoints"]
        assert endpoint["port"] in [own["name"] for own in container["ports"]]
        assert endpoint["path"] == "/metrics"
        jobs.add(labels_of(deployment)[spec["jobLabel"]])
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
    for name, own in with_pods(with_nfs).items():
        groups = pod(own)[0]["securityContext"].get("supplementalGroups")
        assert groups == (None if name == "retriever" else [2000])
    # SQLite stays on a disk.
    assert "volumeName" not in named(with_nfs, "PersistentVolumeClaim", "trainer-state")["spec"]


COMMAND = r"(?:python -m |\blightfm-)(retriever|trainer) ([^`\n#]*[^`\n# ])"


def test_the_runbooks_commands_are_run_in_the_pod_that_has_them(resources, monkeypatch, capsys):
    text = (ROOT / "docs/how-to/alerts-and-runbook.md").read_text().partition("\n## Runbook\n")[2]
    commands = {(package, package, command) for package, command in re.findall(COMMAND, text)}
    # Those of kubernetes.md with the pod that they run in.
    text = (ROOT / "docs/how-to/kubernetes.md").read_text()
    commands |= {*re.findall(rf"kubectl -n recsys exec deploy/(\w+) -- {COMMAND}", text)}
    assert ("retriever", "retriever", "status") in commands
    assert ("trainer", "trainer", "runs") in commands
    for name, package, text in commands:
        # Values in place of the words that stand for some.
        filled = re.sub(r"\b(OLD|NEW|NAME|VERSION|V)\b", "20261124T043500Z-3fa9c1", text)
        _, container = pod(named(resources, "Deployment", name))
        arguments = shlex.split(filled.replace("DIR", "/volume"))
        with monkeypatch.context() as patch:
            for own in container.get("env", []):
                patch.setenv(own["name"], own["value"])
            assert assert_taken(container, arguments, capsys) == f"lightfm-retriever-{package}"
