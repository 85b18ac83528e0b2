"""As much of `kubectl kustomize` as docker/kubernetes uses, so that its tests need no kubectl.

What it doesn't know it refuses.
"""

import copy
import re
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]

# What belongs to no namespace.
_OF_THE_CLUSTER = {"PersistentVolume"}
_TEMPLATES = {"Deployment": ("spec",), "CronJob": ("spec", "jobTemplate", "spec")}
_KNOWN = {"apiVersion", "kind", "resources", "components", "labels", "patches", "namespace", "images"}


def render(folder: Path) -> list[Resource]:
    """All resources of a kustomization."""
    return _apply(folder, [])


def template(resource: Resource) -> Resource | None:
    """The pod template of a resource that has one."""
    if resource["kind"] not in _TEMPLATES:
        return None
    found = resource
    for name in _TEMPLATES[resource["kind"]]:
        found = found[name]
    return found["template"]


def named(resources: list[Resource], kind: str, name: str) -> Resource:
    """The one of a kind that has a name."""
    [found] = [own for own in resources if (own["kind"], own["metadata"]["name"]) == (kind, name)]
    return found


def pod(resource: Resource) -> tuple[Resource, Resource]:
    """The spec of a resource's pod, and of its one container."""
    spec = template(resource)["spec"]
    [container] = spec["containers"]
    return spec, container


def secret_of(spec: Resource) -> str:
    """The name of the one Secret that a pod mounts."""
    [name] = [own["secret"]["secretName"] for own in spec["volumes"] if "secret" in own]
    return name


def _apply(folder: Path, given: list[Resource]) -> list[Resource]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert kustomization.keys() <= _KNOWN, kustomization.keys() - _KNOWN
    resources = given
    for path in ((folder / name).resolve() for name in kustomization.get("resources", [])):
        more = _apply(path, []) if path.is_dir() else [*yaml.safe_load_all(path.read_text())]
        resources = [*resources, *more]
    for name in kustomization.get("components", []):
        resources = _apply((folder / name).resolve(), resources)
    for patch in kustomization.get("patches", []):
        _patch(resources, patch)
    for label in kustomization.get("labels", []):
        _label(resources, label)
    if "namespace" in kustomization:
        for resource in resources:
            if resource["kind"] in _OF_THE_CLUSTER:
                continue
            where = "name" if resource["kind"] == "Namespace" else "namespace"
            resource["metadata"][where] = kustomization["namespace"]
    images = {
        own["name"]: f"{own['newName']}:{own['newTag']}" for own in kustomization.get("images", [])
    }
    for own in filter(template, resources):
        _, container = pod(own)
        container["image"] = images.get(container["image"], container["image"])
    return resources


def _label(resources: list[Resource], label: dict[str, Any]) -> None:
    assert label.keys() == {"pairs", "includeTemplates"}
    for resource in resources:
        job = resource["spec"]["jobTemplate"] if resource["kind"] == "CronJob" else None
        for own in filter(None, (resource, job, template(resource))):
            own.setdefault("metadata", {}).setdefault("labels", {}).update(label["pairs"])


def _patch(resources: list[Resource], patch: dict[str, Any]) -> None:
    target = patch["target"]
    assert patch.keys() == {"target", "patch"}
    assert target.keys() <= {"kind", "name"}
    chosen = [
        resource
        for resource in resources
        if resource["kind"] == target["kind"]
        and re.fullmatch(target.get("name", ".*"), resource["metadata"]["name"])
    ]
    assert chosen, f"a patch of {target} is of nothing"
    for resource in chosen:
        for operation in yaml.safe_load(patch["patch"]):
            *names, last = operation["path"].strip("/").split("/")
            assert operation["op"] in ("add", "replace"), operation
            found: Any = resource
            for name in names:
                found = found[int(name)] if isinstance(found, list) else found[name]
            value = copy.deepcopy(operation["value"])
            if isinstance(found, list):
                assert last == "-", operation
                found.append(value)
            else:
                # To add would replace what is there.
                assert (last in found) == (operation["op"] == "replace"), operation
                found[last] = value
