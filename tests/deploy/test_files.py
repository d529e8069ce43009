"""Container, compose, Kubernetes and shell files parse, and agree with the code; no container is started."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.app import QUEUES

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SETTINGS = (DEPLOY.parent / "backend" / "settings.py").read_text()


def documents(name: str) -> list[dict[str, Any]]:
    """The YAML documents of one file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@pytest.mark.parametrize("name", sorted(str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.sh")))
def test_shell_scripts_parse(name: str) -> None:
    subprocess.run(["bash", "-n", str(DEPLOY / name)], check=True)


def test_compose_runs_every_queue_once() -> None:
    services = documents("compose.yml")[0]["services"]
    listened = [
        queue
        for one in services.values()
        if one.get("command", [""])[0] == "worker"
        for queue in one["command"][1].split(",")
    ]
    assert sorted(listened) == sorted(QUEUES)
    assert {"postgres", "redis", "migrate", "web", "beat"} <= set(services)


def test_compose_sets_only_what_the_settings_read() -> None:
    names = documents("compose.yml")[0]["services"]["web"]["environment"]
    unknown = [name for name in names if f'"{name}"' not in SETTINGS and not name.startswith("AWS_")]
    assert unknown == []


@pytest.mark.parametrize("name", ["k8s/web.yaml", "k8s/workers.yaml", "k8s/build.yaml"])
def test_kubernetes_documents_are_complete(name: str) -> None:
    for one in documents(name):
        assert one["apiVersion"] and one["kind"] and one["metadata"]["name"]
        if one["kind"] == "Deployment":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"] == labels


def test_kubernetes_scales_each_queue_on_its_own_list() -> None:
    scaled = [one for one in documents("k8s/workers.yaml") if one["kind"] == "ScaledObject"]
    lists = [one["spec"]["triggers"][0]["metadata"]["listName"] for one in scaled]
    assert sorted(lists) == sorted(QUEUES)
    for one, queue in zip(scaled, lists):
        assert one["spec"]["scaleTargetRef"]["name"] == f"maquette-{queue}"


def test_the_image_copies_only_what_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    for name in " ".join(copied).split():
        assert (DEPLOY.parent / name).exists()


def test_every_setting_the_readme_names_is_read() -> None:
    table = (DEPLOY / "README.md").read_text().split("## Settings")[1].split("##")[0]
    named = {
        word
        for row in table.splitlines()
        for word in re.findall(r"`([A-Z_0-9]{4,})`", row.split("|")[1] if "|" in row else "")
    }
    supervisor = (DEPLOY / "supervisor.py").read_text()
    assert [name for name in sorted(named) if f'"{name}"' not in SETTINGS + supervisor] == []
