"""The manifests in docker/kubernetes: against the schemas of Kubernetes and KubeRay, and closed to the outside."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "docker" / "kubernetes"
KUBERAY = REPOSITORY / "tests" / "data" / "kuberay"
KUBERNETES = "1.33"
WRITTEN = re.compile(r"(?i)(password|token|secret[_-]key)\s*[:=]\s*[\"']?[A-Za-z0-9]{12,}")
"""A secret that stands there itself."""


def documents(*names: str) -> list[dict[str, Any]]:
    paths = [FOLDER / name for name in names] if names else sorted(FOLDER.glob("*.yaml"))
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def resources() -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] != "Kustomization"]


def named(resource: dict[str, Any]) -> str:
    metadata = resource["metadata"]
    return f"{resource['kind']}-{metadata.get('name', metadata.get('generateName'))}"


def strict(schema: Any) -> Any:
    """The same schema, where an object that lists its properties has no others."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields", False):
        found.setdefault("additionalProperties", False)
    return found


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((KUBERAY / f"{kind.lower()}.v1.json").read_text())
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(strict(schema))


def check(resource: dict[str, Any]) -> None:
    if resource["apiVersion"].startswith("ray.io/"):
        validator(resource["kind"]).validate(resource)
    else:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


@pytest.mark.parametrize("resource", resources(), ids=named)
def test_each_fits_its_schema(resource):
    check(resource)


@pytest.mark.parametrize("resource", resources(), ids=named)
def test_a_field_that_nobody_knows_is_noticed(resource):
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check({**resource, "spec": {**resource.get("spec", {}), "replicaCount": 2}})


def test_all_of_it_is_applied():
    (kustomization,) = (document for document in documents() if document["kind"] == "Kustomization")
    files = {path.name for path in FOLDER.glob("*.yaml")}
    assert {*kustomization["resources"], "kustomization.yaml", "rayjob.yaml"} == files


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in resources():
        spec = resource.get("spec", {})
        if resource["kind"] in ("Deployment", "StatefulSet"):
            yield named(resource), spec["template"]["spec"]
        elif resource["kind"] == "RayCluster":
            yield "head", spec["headGroupSpec"]["template"]["spec"]
            for group in spec["workerGroupSpecs"]:
                yield group["groupName"], group["template"]["spec"]
        elif resource["kind"] == "RayJob":
            yield named(resource), spec["submitterPodTemplate"]["spec"]


@pytest.mark.parametrize(("name", "pod"), list(pod_specs()), ids=[name for name, _ in pod_specs()])
def test_no_container_is_root_or_may_become_it(name, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.get("hostNetwork", False)
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPath" in volume for volume in pod["volumes"])


def test_services_are_probed():
    for name, pod in pod_specs():
        if not name.startswith("RayJob"):
            assert all({"readinessProbe", "livenessProbe"} <= set(item) for item in pod["containers"]), name


def test_what_is_mounted_is_there():
    for name, pod in pod_specs():
        volumes = {volume["name"] for volume in pod["volumes"]} | ({"data"} if "postgres" in name else set())
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name


def test_all_that_comes_in_is_refused_but_what_is_named():
    policies = {item["metadata"]["name"]: item["spec"] for item in documents("network.yaml")}
    assert policies["nothing-comes-in"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name, policy in policies.items():
        for rule in policy.get("ingress", []):
            assert rule["from"], name
    services = [item for item in resources() if item["kind"] == "Service"]
    assert all(item["spec"].get("type", "ClusterIP") == "ClusterIP" for item in services)


def test_no_secret_is_written_down():
    """Passwords come from files that docker/make-secrets wrote, which git ignores."""
    for path in (REPOSITORY / "docker").rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(REPOSITORY / "docker").parts[:-1]:
            assert not WRITTEN.search(path.read_text()), path
    ignored = (REPOSITORY / ".gitignore").read_text().split()
    assert "/docker/**/secrets/" in ignored


def test_the_versions_are_those_of_the_constraints():
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split())
    (cluster,) = documents("raycluster.yaml")
    assert cluster["spec"]["rayVersion"] == pins["ray"]


def compose() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "docker" / "compose.yaml").read_text())


def test_compose_publishes_mlflow_to_this_machine_alone():
    """... and what is there by a profile alone, to this machine as well."""
    services = compose()["services"]
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports.pop("tls") == [
        "5443:5443",
        "8443:8443",
    ]  # what shall leave the machine, which is asked for by name
    assert ports == {"mlflow": ["127.0.0.1:5000:5000"], "prometheus": ["127.0.0.1:9090:9090"]}
    assert (services["tls"]["profiles"], services["prometheus"]["profiles"]) == (["tls"], ["monitoring"])


def test_compose_gives_each_service_only_its_own_secrets():
    services = compose()["services"]
    assert {name: set(service["secrets"]) for name, service in services.items()} == {
        "head": {"ray_token", "mlflow_admin_password"},
        "worker": {"ray_token"},
        "client": {"ray_token"},
        "mlflow": {"postgres_password", "mlflow_admin_password", "mlflow_secret_key"},
        "postgres": {"postgres_password"},
        "prometheus": {"ray_token"},
        "tls": set(),
    }
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"]
        if name != "postgres":  # its image becomes its own user by itself
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
        assert name == "client" or "healthcheck" in service


def test_images_run_as_a_user_of_their_own():
    for name in ("Dockerfile", "mlflow.Dockerfile"):
        lines = (REPOSITORY / "docker" / name).read_text().splitlines()
        users = [line for line in lines if line.startswith("USER ")]
        assert users, name
        assert users[-1] not in ("USER root", "USER 0")
        assert not any(line.startswith(("ENV", "ARG")) and "PASSWORD" in line for line in lines)
