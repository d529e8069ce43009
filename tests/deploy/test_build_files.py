"""The Slurm scripts build a whole data set with a stand-in for sbatch; the Kubernetes Jobs ask for what the command takes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh
import yaml

from model_zoo.build.__main__ import parser

ROOT = Path(__file__).resolve().parents[2]
# Runs the tasks of an array one after the other, as Slurm would run them side by side, and prints a job number.
SBATCH = """#!/usr/bin/env bash
set -euo pipefail
array="" wrap=""
while [[ "${1:-}" == --* ]]; do
  case "$1" in --array=*) array=${1#--array=} ;; --wrap=*) wrap=${1#--wrap=} ;; esac
  shift
done
if [[ -n "$wrap" ]]; then bash -c "$wrap" >&2; echo 2; exit; fi
script=$1; shift
last=${array#0-}; last=${last%%%*}
for task in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$task bash "$script" "$@" >&2; done
echo 1
"""


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """Two plain meshes in a folder."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    trimesh.creation.icosphere(2).export(folder / "ball.glb")
    trimesh.creation.box((1, 2, 3)).export(folder / "box.ply")
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_slurm_array_builds_every_shard_and_then_the_index(tmp_path: Path, meshes: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    command = [str(ROOT / "deploy" / "slurm" / "build.sh"), "iso3do", "--from", "meshes", "--out", "out"]
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
    }
    subprocess.run(
        [*command, "--size", "64", "--views", "2"], cwd=tmp_path, env=environment, check=True, timeout=120
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["rows"] == 4
    assert manifest["counts"]["shards"] == 2


def test_the_kubernetes_jobs_say_what_the_command_takes() -> None:
    jobs = list(yaml.safe_load_all((ROOT / "deploy" / "k8s" / "build.yaml").read_text()))
    assert [job["metadata"]["name"] for job in jobs] == [
        "maquette-build-plan",
        "maquette-build-shards",
        "maquette-build-finish",
    ]
    asked = []
    for job in jobs:
        container = job["spec"]["template"]["spec"]["containers"][0]
        assert container["command"] == ["python", "-m", "model_zoo.build"]
        arguments = [str(word).replace("$(JOB_COMPLETION_INDEX)", "7") for word in container["args"]]
        asked.append(parser().parse_args(arguments))
    plan, shard, finish = asked
    assert (plan.plan, shard.shard, finish.finish) == (True, 7, True)
    assert len({(one.variant, one.source, one.out) for one in asked}) == 1
    spec = jobs[1]["spec"]
    assert (spec["completionMode"], spec["completions"] > 0) == ("Indexed", True)
