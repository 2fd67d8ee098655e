"""What `deploy/` ships besides proxies: files that are read as their programs read them, and that fit this server.

No Docker daemon and no cluster are needed, so what these would do with the files is not shown here.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from netra.app import ABANDON_SECONDS, STOP_SECONDS
from netra.config import Settings
from netra.gateway.http.system import system_routes
from support.web_proxies import DEPLOY, program, replaced

STOP_BOUND = Settings.model_fields["drain_seconds"].default + STOP_SECONDS + 2 * ABANDON_SECONDS
"""How long a server takes to stop at most."""
HEALTH = {
    route.path  # type: ignore[attr-defined]
    for route in system_routes(version="", check=lambda: None, started=lambda: True).routes  # type: ignore[arg-type,return-value]
}


def are_settings(names: list[str]) -> bool:
    """Whether each NETRA_… variable is one that the server reads; it refuses no unknown ones."""
    assert names
    unknown = [name for name in names if name.removeprefix("NETRA_").lower() not in Settings.model_fields]
    assert unknown == []
    return True


# Docker


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, one instruction at a time."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def last_stage() -> dict[str, str]:
    """The last of each instruction of the image that is kept."""
    every = instructions()
    begin = max(number for number, (word, _) in enumerate(every) if word == "FROM")
    return dict(every[begin:])


def test_the_image_has_two_stages_and_runs_as_nobody_special() -> None:
    words = [word for word, _ in instructions()]
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
    assert set(words) <= known | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert words.count("FROM") == 2
    kept = last_stage()
    assert kept["USER"].split(":")[0] not in ("root", "0")
    assert kept["COPY"].startswith("--from=build ")
    assert json.loads(kept["ENTRYPOINT"]) + json.loads(kept["CMD"]) == ["netra", "serve"]
    assert kept["STOPSIGNAL"] == "SIGTERM"
    pairs = dict(pair.split("=", 1) for pair in shlex.split(kept["ENV"]))
    assert are_settings([name for name in pairs if name.startswith("NETRA_")])
    assert pairs["NETRA_DATA_DIR"] == kept["VOLUME"]
    assert kept["EXPOSE"] == str(Settings.model_fields["port"].default)


def test_the_image_is_healthy_when_the_server_is_ready(tmp_path: Path) -> None:
    """The check itself, run against a port where nobody is."""
    command = json.loads(last_stage()["HEALTHCHECK"].split("CMD", 1)[1])
    (address,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/[a-z/]+)", command[-1])
    assert address[0] == last_stage()["EXPOSE"]
    assert address[1] in HEALTH
    compile(command[-1], "healthcheck", "exec")


def test_nothing_secret_or_large_gets_into_the_image() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    assert {".git", ".venv", "netra-data", "netra.toml", "**/.env", "**/node_modules"} <= set(ignored)


def test_compose_starts_a_server_and_its_database() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    server, database = compose["services"]["server"], compose["services"]["database"]
    assert set(compose["services"]) == {"server", "database"}
    assert are_settings(list(server["environment"]))
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert float(server["stop_grace_period"].removesuffix("s")) > STOP_BOUND
    assert server["depends_on"]["database"]["condition"] == "service_healthy"
    assert "pg_isready" in database["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"]), "only the proxy is for everybody"
    used = {mount.split(":")[0] for service in (server, database) for mount in service["volumes"]}
    assert used == set(compose["volumes"])
    assert server["volumes"][0].split(":")[1] == last_stage()["VOLUME"]
    network = compose["networks"]["netra"]["ipam"]["config"][0]
    assert json.loads(server["environment"]["NETRA_TRUSTED_PROXIES"]) == [network["gateway"]]
    assert not re.search(r"PASSWORD: (?!\$\{NETRA_DB_PASSWORD:\?)", (DEPLOY / "compose.yaml").read_text())


# systemd


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    path = tmp_path / "netra.service"
    text = (DEPLOY / "netra.service").read_text()
    path.write_text(replaced(text, r"^ExecStart=/opt/netra/bin/netra", "ExecStart=/bin/true"))
    return path


def test_systemd_takes_the_unit_and_finds_it_well_protected(unit: Path) -> None:
    done = subprocess.run([program("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "netra" in line]
    assert (done.returncode, ours) == (0, [])
    command = [program("systemd-analyze"), "security", "--offline=true", "--threshold=20", unit]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, env={"SYSTEMD_COLORS": "0"})
    assert judged.returncode == 0, judged.stdout[-200:]


def test_systemd_gives_a_stopping_server_its_time(unit: Path) -> None:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    assert float(values["TimeoutStopSec"]) > STOP_BOUND
    assert values["KillMode"] == "mixed"
    assert values["Restart"] == "on-failure"
    environment = [line.split("=", 2)[1] for line in lines if line.startswith("Environment=")]
    assert are_settings(environment)


# Kubernetes


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """Every object, by kind."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "netra.yaml").read_text()))
    assert all({"apiVersion", "kind", "metadata"} <= set(document) for document in documents)
    assert len({document["kind"] for document in documents}) == len(documents)
    return {document["kind"]: document for document in documents}


def test_kubernetes_runs_one_server_and_replaces_it(objects: dict[str, Any]) -> None:
    deployment = objects["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate")
    pod = deployment["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > STOP_BOUND
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/health/startup",
        "readiness": "/health/ready",
        "liveness": "/health/live",
    }
    assert {probe["path"] for probe in probes.values()} <= HEALTH
    assert {probe["port"] for probe in probes.values()} == {port["name"] for port in container["ports"]}
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert container["ports"][0]["containerPort"] == Settings.model_fields["port"].default


def test_kubernetes_runs_it_with_few_rights_and_as_the_image_does(objects: dict[str, Any]) -> None:
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    user, _, group = last_stage()["USER"].partition(":")
    security = pod["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (int(user), int(group), int(group))
    assert security["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted["data"] == last_stage()["VOLUME"]
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}


def test_what_belongs_together_in_kubernetes_finds_each_other(objects: dict[str, Any]) -> None:
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    assert objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1, "0 would forbid to drain the node"
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "emptyDir" not in volume]
    assert claims == [objects["PersistentVolumeClaim"]["metadata"]["name"]]
    assert pod["containers"][0]["envFrom"][0]["configMapRef"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert are_settings(list(objects["ConfigMap"]["data"]))
    json.loads(objects["ConfigMap"]["data"]["NETRA_TRUSTED_PROXIES"])
    (port,) = objects["Service"]["spec"]["ports"]
    assert port["targetPort"] == pod["containers"][0]["ports"][0]["name"]
    (rule,) = objects["Ingress"]["spec"]["rules"]
    backends = {path["path"]: path["backend"]["service"] for path in rule["http"]["paths"]}
    assert backends["/"] == {"name": objects["Service"]["metadata"]["name"], "port": {"name": port["name"]}}
    assert f"https://{rule['host']}" == objects["ConfigMap"]["data"]["NETRA_PUBLIC_URL"]


def test_the_ingress_says_what_nginx_is_told(objects: dict[str, Any]) -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    annotations = objects["Ingress"]["metadata"]["annotations"]
    said = {name.rpartition("/")[2]: value for name, value in annotations.items()}
    size = said.pop("proxy-body-size")
    assert f"client_max_body_size  {size};" in text
    for name, value in said.items():
        ending = "s" if name.endswith("-timeout") else ""
        assert re.search(rf"{name.replace('-', '_')} +{value}{ending};", text), name
