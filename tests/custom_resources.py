"""The shape of resources that aren't Kubernetes' own: of cert-manager and of the Prometheus operator.

As much of their definitions as docker/kubernetes uses; what they don't know here is refused.
"""

from __future__ import annotations

from typing import Any

import jsonschema

_TEXT = {"type": "string", "minLength": 1}
_DURATION = {"type": "string", "pattern": r"^([0-9]+(h|m|s))+$"}
_DNS_NAME = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"}
_LABELS = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_ISSUER_REFERENCE = _object(
    {
        "group": {"const": "cert-manager.io"},
        "kind": {"enum": ["Issuer", "ClusterIssuer"]},
        "name": _TEXT,
    },
    "name",
)
_PRIVATE_KEY = _object(
    {
        "algorithm": {"enum": ["RSA", "ECDSA", "Ed25519"]},
        "encoding": {"enum": ["PKCS1", "PKCS8"]},
        "rotationPolicy": {"enum": ["Never", "Always"]},
        "size": {"type": "integer"},
    }
)
_USAGES = {
    "type": "array",
    "items": {"enum": ["digital signature", "server auth", "client auth", "cert sign", "crl sign"]},
    "minItems": 1,
    "uniqueItems": True,
}
_CERTIFICATE = _object(
    {
        "commonName": {"type": "string", "maxLength": 64},
        "dnsNames": {"type": "array", "items": _DNS_NAME, "minItems": 1, "uniqueItems": True},
        "duration": _DURATION,
        "isCA": {"type": "boolean"},
        "issuerRef": _ISSUER_REFERENCE,
        "privateKey": _PRIVATE_KEY,
        "renewBefore": _DURATION,
        "secretName": _TEXT,
        "usages": _USAGES,
    },
    "secretName",
    "issuerRef",
)
_ISSUER = {
    **_object({"selfSigned": _object({}), "ca": _object({"secretName": _TEXT}, "secretName")}),
    # One kind each.
    "minProperties": 1,
    "maxProperties": 1,
}
_ENDPOINT = _object(
    {
        "port": _TEXT,
        "path": {"type": "string", "pattern": "^/"},
        "interval": _DURATION,
        "scrapeTimeout": _DURATION,
    }
)
_POD_MONITOR = _object(
    {
        "jobLabel": _TEXT,
        "selector": _object({"matchLabels": _LABELS}, "matchLabels"),
        "podMetricsEndpoints": {"type": "array", "items": _ENDPOINT, "minItems": 1},
    },
    "selector",
    "podMetricsEndpoints",
)
_SPECS = {
    ("cert-manager.io/v1", "Certificate"): _CERTIFICATE,
    ("cert-manager.io/v1", "Issuer"): _ISSUER,
    ("monitoring.coreos.com/v1", "PodMonitor"): _POD_MONITOR,
}
_METADATA = _object({"name": _DNS_NAME, "namespace": _DNS_NAME, "labels": _LABELS}, "name")


def validate(resource: dict[str, Any]) -> None:
    """Raise jsonschema.ValidationError for another shape, KeyError for another kind."""
    spec = _SPECS[resource["apiVersion"], resource["kind"]]
    whole = _object(
        {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _METADATA, "spec": spec}, "metadata", "spec"
    )
    jsonschema.validate(resource, whole)
