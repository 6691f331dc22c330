"""
The manifests are valid, and describe a system that the code would recognise.
"""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.composition import PROCESSES
from deploy.containers.secret_files import ACCOUNT
from deploy.distributed.serve import ALONE
from tests.architecture.deployed import READ_BY, ROOT, Deployed

VERSIONS = ("1.29", "1.37")
"""The oldest and the newest release that the manifests are for."""

FOLDER = ROOT / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
WORKLOADS = [document for document in DOCUMENTS if document["kind"] in {"Deployment", "StatefulSet", "Job"}]
DEPLOYMENTS = [document for document in WORKLOADS if document["kind"] != "Job"]
CONFIGURATION = {
    document["metadata"]["name"]: document["data"] for document in DOCUMENTS if document["kind"] == "ConfigMap"
}
SECRETS = {
    **{
        f"axis-{process}": {f"{process}_broker_url", *({f"{process}_database_url"} - {"gateway_database_url"})}
        for process in PROCESSES
    },
    "axis-setup": {"axis_database_admin_url", "axis_broker_admin_url"},
    "axis-proxy": {"tls.crt", "tls.key"},
}
"""Secret to its entries: the folders that `deploy.containers.secret_files` makes; the proxy's is of the type `tls`."""

SECRETS["axis-registry"] |= {"registry_pepper", "registry_webhook_key"}
SECRETS["axis-signing"] |= {"signing_passphrase"}


def name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def deployed(workload: dict[str, Any]) -> Deployed:
    pod = pod_of(workload)
    [container] = pod["containers"]
    variables = {one["name"]: one["value"] for one in container.get("env", [])}
    for source in container["envFrom"]:
        variables |= CONFIGURATION[source["configMapRef"]["name"]]
    command = tuple(container["command"])
    if "AXIS_NODE_ID" in variables:  # what is said to all of them is not meant for each
        common = CONFIGURATION["axis"]
        variables = {name: value for name, value in variables.items() if name not in common or name in READ_BY[command]}
    names: set[str] = set()
    for volume in pod["volumes"]:
        if "secret" in volume:
            names |= SECRETS[volume["secret"]["secretName"]]
        for source in volume.get("projected", {}).get("sources", []):
            taken = {item["key"] for item in source["secret"]["items"]}
            assert taken <= SECRETS[source["secret"]["name"]]
            names |= taken
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    return Deployed(
        name=name_of(workload),
        command=command,
        variables=variables,
        secrets=names,
        folder=mounts["secrets"],
        mounts=set(mounts.values()),
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_a_manifest_is_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("workload", WORKLOADS, ids=name_of)
def test_a_pod_runs_a_command_that_exists_with_variables_that_exist(workload: dict[str, Any]) -> None:
    assert deployed(workload).faults() == []


def test_every_process_is_there_in_the_right_number() -> None:
    commands = {tuple(pod_of(workload)["containers"][0]["command"]): workload for workload in WORKLOADS}
    assert set(commands) == set(READ_BY)
    for process in PROCESSES:
        spec = commands["axis", "serve", process]["spec"]
        assert spec["replicas"] == (1 if process in ALONE else 2)
        assert (spec["strategy"]["type"] == "Recreate") == (process in ALONE)


@pytest.mark.parametrize(
    "pod",
    [*map(pod_of, WORKLOADS), *(document["spec"] for document in DOCUMENTS if document["kind"] == "Pod")],
    ids=lambda pod: pod["containers"][0]["name"],
)
def test_a_pod_may_do_no_more_than_it_must(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == ACCOUNT
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == set(container["resources"]["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize("workload", DEPLOYMENTS, ids=name_of)
def test_a_process_is_watched_and_given_time_to_end(workload: dict[str, Any]) -> None:
    pod = pod_of(workload)
    [container] = pod["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    asked = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        way = container[probe].get("httpGet") or container[probe]["tcpSocket"]
        assert way["port"] in asked
    paused = 5 if "lifecycle" in container else 0
    configured = CONFIGURATION["axis-proxy"]["PROXY_SHUTDOWN_SECONDS"], CONFIGURATION["axis"]["AXIS_DRAIN_SECONDS"]
    needed = int(configured[0] if workload["metadata"]["name"] == "axis-proxy" else configured[1])
    assert pod["terminationGracePeriodSeconds"] >= paused + needed + 10


def test_packets_are_not_decoded_in_memory() -> None:
    [routing] = [workload for workload in DEPLOYMENTS if workload["metadata"]["name"] == "axis-routing"]
    [scratch] = [volume["emptyDir"] for volume in pod_of(routing)["volumes"] if volume["name"] == "tmp"]
    assert "medium" not in scratch


def test_every_process_has_its_limit_of_disruption() -> None:
    budgets = {
        document["metadata"]["name"]: document["spec"]
        for document in DOCUMENTS
        if document["kind"] == "PodDisruptionBudget"
    }
    for workload in DEPLOYMENTS:
        budget = budgets.pop(workload["metadata"]["name"])
        assert budget["selector"] == workload["spec"]["selector"]
        # A budget that keeps the only copy would keep a machine from ever being emptied.
        assert budget.get("minAvailable", 0) < workload["spec"]["replicas"]
    assert budgets == {}


def test_only_the_proxy_is_reached_from_outside_and_only_delivery_goes_there() -> None:
    policies = [document for document in DOCUMENTS if document["kind"] == "NetworkPolicy"]
    assert any(policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for policy in policies), (
        "nothing is closed"
    )
    open_in = {
        chosen(policy) for policy in policies for rule in policy["spec"].get("ingress", []) if "from" not in rule
    }
    outward = {
        chosen(policy)
        for policy in policies
        for rule in policy["spec"].get("egress", [])
        if "to" not in rule or any("ipBlock" in peer for peer in rule["to"])
    }
    assert open_in == {("axis-proxy",)}
    assert outward == {("axis-delivery",)}


def test_the_gateway_reaches_the_bus_and_nothing_else() -> None:
    assert reached_by("axis-gateway") == {("rabbitmq", 5672)}
    assert reached_by("axis-proxy") == {("axis-gateway", 8080)}
    assert reached_by("axis-operator") == {("axis-gateway", 8081)}
    for service in ("registry", "signing", "routing", "delivery", "audit"):
        assert reached_by(f"axis-{service}") == {("rabbitmq", 5672), ("postgresql", 5432)}


def test_only_the_proxys_service_faces_the_world() -> None:
    facing = [
        document["metadata"]["name"]
        for document in DOCUMENTS
        if document["kind"] == "Ingress"
        or (document["kind"] == "Service" and document["spec"].get("type", "ClusterIP") != "ClusterIP")
    ]
    assert facing == ["axis-proxy"]


def test_a_service_leads_to_a_port_that_its_pods_have() -> None:
    pods = {workload["metadata"]["name"]: pod_of(workload) for workload in DEPLOYMENTS}
    for service in (document for document in DOCUMENTS if document["kind"] == "Service"):
        pod = pods[service["spec"]["selector"]["app.kubernetes.io/name"]]
        names = {port["name"] for port in pod["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    gateways = CONFIGURATION["axis-proxy"]["PROXY_GATEWAYS"].partition(":")[0]
    assert gateways in {document["metadata"]["name"] for document in DOCUMENTS if document["kind"] == "Service"}


def test_no_manifest_holds_a_secret() -> None:
    assert not [document for document in DOCUMENTS if document["kind"] == "Secret"]
    for workload in WORKLOADS:
        for volume in pod_of(workload)["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in SECRETS


def chosen(policy: dict[str, Any]) -> tuple[str, ...]:
    return _names(policy["spec"]["podSelector"])


def reached_by(name: str) -> set[tuple[str, int]]:
    """
    Pods of this namespace that a pod may connect to, by name and port; looking up names left out.
    """
    found = set()
    for policy in (document for document in DOCUMENTS if document["kind"] == "NetworkPolicy"):
        if name not in chosen(policy):
            continue
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                for other in _names(peer.get("podSelector", {})):
                    found |= {(other, port["port"]) for port in rule["ports"]}
    return found


def _names(selector: dict[str, Any]) -> tuple[str, ...]:
    label = "app.kubernetes.io/name"
    if label in selector.get("matchLabels", {}):
        return (selector["matchLabels"][label],)
    return tuple(
        value for rule in selector.get("matchExpressions", []) if rule["key"] == label for value in rule["values"]
    )
