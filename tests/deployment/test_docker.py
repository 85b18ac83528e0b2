"""Images, the compose file and scripts fit the commands; `make containers` runs them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path

import pytest
import yaml

from lightfm_retriever.hosting.settings import layers
from retriever import __main__ as retriever_command
from trainer.cli import arguments as trainer_arguments
from trainer.cli import serve_arguments

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SERVICES = ["trainer", "retriever"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
CONTAINERS = COMPOSE["services"]
# A script of the images' builds, in no package.
_SPEC = importlib.util.spec_from_file_location("check_portable", DOCKER / "portable/check_portable.py")
check_portable = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(check_portable)


def instructions(service: str) -> list[tuple[str, str]]:
    """Of a Dockerfile: (FROM, "python:... AS compiled"), ..., with continued lines joined."""
    text = (DOCKER / f"{service}.Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word, rest) for word, _, rest in (line.partition(" ") for line in joined.split("\n") if line)
    ]


def last_stage(service: str) -> list[tuple[str, str]]:
    """What the image itself is made by."""
    all_of_it = instructions(service)
    start = max(number for number, (word, _) in enumerate(all_of_it) if word == "FROM")
    return all_of_it[start:]


def only(found: list[tuple[str, str]], word: str) -> str:
    [rest] = [rest for own, rest in found if own == word]
    return rest


def environment(service: str) -> dict[str, str]:
    """What is set in a service's container: by the image and by compose."""
    pairs = dict(pair.split("=", 1) for pair in shlex.split(only(last_stage(service), "ENV")))
    return {**pairs, **CONTAINERS[service]["environment"]}


def argument(service: str, name: str) -> str:
    [value] = {
        rest for word, rest in instructions(service) if word == "ARG" and rest.startswith(f"{name}=")
    }
    return value.partition("=")[2]


@pytest.mark.parametrize("service", SERVICES)
def test_hadolint_has_nothing_to_say(service):
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [hadolint, "--no-color", DOCKER / f"{service}.Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_every_package_that_the_service_imports(service):
    imported: set[str] = {service}
    seen: set[str] = set()
    while found := imported - seen:
        seen |= found
        texts = [path.read_text("utf-8") for own in found for path in (ROOT / own).rglob("*.py")]
        names = re.findall(r"^ *(?:from|import) (\w+)", "\n".join(texts), re.MULTILINE)
        imported |= {name for name in names if (ROOT / name / "__init__.py").is_file()}
    assert "lightfm_retriever" in imported
    text = (DOCKER / f"{service}.Dockerfile").read_text()
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for package in imported:
        assert f"COPY {package} /source/{package}\n" in text
        assert f"!{package}" in allowed


@pytest.mark.parametrize("service", SERVICES)
def test_the_extras_exist_and_only_the_trainer_has_lightfm(service):
    extras = argument(service, "EXTRAS").split(",")
    assert {*extras} <= PROJECT["optional-dependencies"].keys()
    assert service in extras
    names = " ".join(name for extra in extras for name in PROJECT["optional-dependencies"][extra])
    assert ("lightfm" in names) is (service == "trainer")


@pytest.mark.parametrize("service", SERVICES)
def test_the_probe_is_the_same_in_image_and_compose(service):
    options, _, command = only(last_stage(service), "HEALTHCHECK").partition(" CMD ")
    probed = CONTAINERS[service]["healthcheck"]
    assert json.loads(command) == probed["test"][1:]
    assert probed["test"][0] == "CMD"
    given = dict(option.removeprefix("--").split("=") for option in options.split())
    assert given == {
        "interval": probed["interval"],
        "timeout": probed["timeout"],
        "start-period": probed["start_period"],
        "retries": str(probed["retries"]),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_command_is_one(service, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("TRAINER_", "RETRIEVER_")):
            monkeypatch.delenv(name)
    for name, value in environment(service).items():
        if name.startswith(service.upper()):
            monkeypatch.setenv(name, value)
    stage = last_stage(service)
    assert json.loads(only(stage, "ENTRYPOINT")) == ["python", "-m", service]
    commands = [json.loads(only(stage, "CMD")), CONTAINERS[service]["healthcheck"]["test"][4:]]
    if service == "trainer":
        commands.append(CONTAINERS["train"]["command"])
    parse = trainer_arguments.parse if service == "trainer" else retriever_command.parse
    for command in commands:
        assert parse(command).command == command[0]


@pytest.mark.parametrize(
    ("service", "add"),
    [
        ("trainer", serve_arguments.add_serve_flags),
        ("retriever", retriever_command.add_serve_flags),
    ],
)
def test_every_variable_is_a_flags(service, add):
    parser = ArgumentParser()
    add(parser)
    prefix = f"{service.upper()}_"
    variables = {name: value for name, value in environment(service).items() if name.startswith(prefix)}
    assert variables[f"{prefix}INSECURE"] == "true"
    layers.apply(parser, ["serve"], variables, prefix=prefix)
    assert parser.get_default("volume") == Path("/volume")
    assert parser.get_default("insecure") is True
    # Ours is what compose sets, and what is in every image.
    others = {"PATH", "PYTHONDONTWRITEBYTECODE"}
    assert environment(service).keys() == {*variables, *others}


def test_the_retriever_shares_the_volume_alone_and_only_reads_it():
    mounts = {
        name: dict(mount.split(":", 1) for mount in container.get("volumes", []))
        for name, container in CONTAINERS.items()
    }
    assert mounts["retriever"] == {"publications": "/volume:ro"}
    assert mounts["trainer"] == {
        "publications": "/volume",
        "trainer-state": "/state",
        "datasets": "/data:ro",
    }
    assert {volume for own in mounts.values() for volume in own} == COMPOSE["volumes"].keys()
    assert not {*CONTAINERS["retriever"]["networks"]} & {*CONTAINERS["trainer"]["networks"]}


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """An extension module by its name, compiled through portable-cc with one more flag."""
    source = tmp_path / "sum.c"
    source.write_text(
        "float sum(float *x, int n) { float s = 0; while (n--) s += x[n] * s; return s; }"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def compile_it(name: str, flag: str) -> str:
        command = [DOCKER / "portable/portable-cc", "gcc", "-shared", "-fPIC", "-O3", "-ffast-math"]
        command += [flag, "-o", tmp_path / f"{name}.so", source]
        subprocess.run(command, check=True, timeout=60)
        return name

    return compile_it


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or not (shutil.which("gcc") and shutil.which("objdump")),
    reason="gcc and objdump for x86-64 are needed",
)
def test_what_is_compiled_for_this_machine_is_compiled_for_others_too(compiled, capsys):
    native, later = compiled("sum_native", "-march=native"), compiled("sum_later", "-march=x86-64-v3")
    assert check_portable.main([native]) == 0
    assert "all of them x86-64-v2's" in capsys.readouterr().out
    assert check_portable.main([native, later]) == 1
    assert "sum_later.so: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("machine", "baseline"),
    [
        ("x86_64", ["-march=x86-64-v2"]),
        ("amd64", ["-march=x86-64-v2"]),
        ("aarch64", ["-march=armv8-a"]),
        ("arm64", ["-march=armv8-a"]),
        # There the compiler's own choice is for every processor.
        ("riscv64", []),
    ],
)
def test_the_compiler_gets_the_machines_baseline_and_all_other_flags(tmp_path, machine, baseline):
    for name, script in (
        ("uname", f'[ "$*" = -m ] && echo {machine}'),
        ("gcc", """printf '%s\\n' "$@"; exit 3"""),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [
            *(DOCKER / "portable/portable-cc", "gcc", "-O3", "-march=native", "a b", ""),
            *("-mtune=native", "-mcpu=native", "-march=native-not", "*"),
        ],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    expected = ["-O3", *baseline, "a b", "", "-mtune=native", *baseline, "-march=native-not", "*"]
    assert (done.stdout.split("\n"), done.stderr) == ([*expected, ""], "")
    # What the compiler says counts.
    assert done.returncode == 3


@pytest.fixture
def containers(tmp_path):
    """Run containers.sh with engines that are scripts of ours."""

    def run(**engines: str) -> subprocess.CompletedProcess[str]:
        for name in ("docker", "podman", "podman-compose"):
            stub = tmp_path / name
            stub.write_text(f"#!/bin/sh\n{engines.get(name.replace('-', '_'), 'exit 1')}\n")
            stub.chmod(0o755)
        return subprocess.run(
            [DOCKER / "containers.sh"],
            env={
                **os.environ,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "CALLS": f"{tmp_path}/calls",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_a_build_that_fails_fails_and_all_is_taken_down(containers, tmp_path):
    compose = 'echo "$@" >> "$CALLS"; case "$*" in *" build "*) echo no space; exit 3;; esac'
    found = containers(podman="exit 0", podman_compose=compose)
    assert found.returncode == 1
    assert "no space\ncontainers: FAILED: trainer: the build" in found.stdout
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1].endswith("down --volumes")
