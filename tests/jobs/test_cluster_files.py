"""The cluster files that ship: they can be read, and name what exists."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.main import main
from pipeline.request.load import load_mixture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rayjob() -> tuple[dict[str, Any], dict[str, Any]]:
    job, mixture = yaml.safe_load_all((ROOT / "jobs" / "rayjob.yaml").read_text(encoding="utf-8"))
    return job, mixture


def options_of(line: str) -> list[str]:
    """The arguments of a `loopmix curate` line, after the command itself took them."""
    program, *arguments = shlex.split(line)
    assert program == "loopmix"
    name, command, rest = main.resolve_command(main.make_context("loopmix", list(arguments)), arguments)
    assert name == "curate" and command is not None
    command.make_context(name, list(rest))
    return rest


def test_the_kuberay_job_gives_the_command_what_it_takes(rayjob: tuple[dict[str, Any], dict[str, Any]]) -> None:
    job, _ = rayjob
    file, *rest = options_of(job["spec"]["entrypoint"])
    assert rest == ["--out", "s3://BUCKET/run", "--ray-address", "auto"]
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]
    (mount,) = head["template"]["spec"]["containers"][0]["volumeMounts"]
    assert Path(file).parent == Path(mount["mountPath"])


def test_the_kuberay_job_goes_on_after_a_death_and_never_twice_at_once(
    rayjob: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    spec = rayjob[0]["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["submitterConfig"]["backoffLimit"] == 0
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        for container in group["template"]["spec"]["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_mixture_of_the_kuberay_job_can_be_loaded(
    rayjob: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    for name, text in rayjob[1]["data"].items():
        (tmp_path / name).write_text(text)
        assert load_mixture(tmp_path / name).name == "mine"
    assert Path(shlex.split(rayjob[0]["spec"]["entrypoint"])[2]).name in rayjob[1]["data"]


@pytest.mark.ray
def test_ray_takes_the_file_of_machines() -> None:
    code = """
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
config = prepare_config(yaml.safe_load(open("jobs/ray_cluster.yaml")))
validate_config(config)
assert config["available_node_types"]["worker"]["resources"]["CPU"] == 16, config["available_node_types"]
assert all("RAY_AUTH_MODE=token" in config[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
