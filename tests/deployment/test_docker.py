"""Images, the compose file and scripts fit the commands; `make containers` runs them."""

import json
import os
import re
import runpy
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
from retriever import program as retriever_command
from trainer.cli import arguments as trainer_arguments
from trainer.cli import serve_arguments

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
both = pytest.mark.parametrize("service", ["trainer", "retriever"])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
CONTAINERS = COMPOSE["services"]
# A script of the images' builds, in no package.
check_portable = runpy.run_path(str(DOCKER / "portable/check_portable.py"))["main"]


def instructions(service):
    """Of a Dockerfile: (FROM, "python:... AS compiled"), ..., with continued lines joined."""
    text = (DOCKER / f"{service}.Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in joined.split("\n") if line]


def last_stage(service):
    """What the image itself is made by."""
    every = instructions(service)
    return every[max(number for number, (word, _) in enumerate(every) if word == "FROM") :]


def only(found, word):
    [rest] = [rest for own, rest in found if own == word]
    return rest


def environment(service):
    """What is set in a service's container: by the image and by compose."""
    pairs = dict(pair.split("=", 1) for pair in shlex.split(only(last_stage(service), "ENV")))
    return {**pairs, **CONTAINERS[service]["environment"]}


@both
def test_hadolint_has_nothing_to_say(service):
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [hadolint, "--no-color", DOCKER / f"{service}.Dockerfile"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@both
def test_an_image_has_every_package_that_the_service_imports(service):
    imported, seen = {service}, set()
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


@both
def test_the_extras_exist_and_only_the_trainer_has_lightfm(service):
    [given] = {rest for word, rest in instructions(service) if word == "ARG" and "EXTRAS=" in rest}
    extras = given.removeprefix("EXTRAS=").split(",")
    assert {*extras} <= PROJECT["optional-dependencies"].keys()
    assert service in extras
    names = " ".join(name for extra in extras for name in PROJECT["optional-dependencies"][extra])
    assert ("lightfm" in names) is (service == "trainer")


@both
def test_the_probe_is_the_same_in_image_and_compose(service):
    options, _, command = only(last_stage(service), "HEALTHCHECK").partition(" CMD ")
    probed = {**CONTAINERS[service]["healthcheck"]}
    assert json.loads(command) == probed["test"][1:]
    assert probed["test"][0] == "CMD"
    given = dict(option.removeprefix("--").split("=") for option in options.split())
    del probed["test"]
    assert given == {name.replace("_", "-"): str(value) for name, value in probed.items()}


@both
def test_every_command_is_one(service, monkeypatch):
    for name in filter(re.compile("(TRAINER|RETRIEVER)_").match, [*os.environ]):
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


@both
def test_every_variable_is_a_flags(service):
    parser = ArgumentParser()
    (serve_arguments if service == "trainer" else retriever_command).add_serve_flags(parser)
    prefix = f"{service.upper()}_"
    variables = {name: value for name, value in environment(service).items() if name.startswith(prefix)}
    layers.apply(parser, ["serve"], variables, prefix=prefix)
    assert parser.get_default("volume") == Path("/volume")
    assert parser.get_default("insecure") is True
    # Ours is what compose sets, and what is in every image.
    others = {"PATH", "PYTHONDONTWRITEBYTECODE"}
    assert environment(service).keys() == {*variables, *others}


def test_the_retriever_shares_the_volume_alone_and_only_reads_it():
    mounts = {name: {*container.get("volumes", [])} for name, container in CONTAINERS.items()}
    assert mounts["retriever"] == {"publications:/volume:ro"}
    assert mounts["trainer"] == {"publications:/volume", "trainer-state:/state", "datasets:/data:ro"}
    assert {own.partition(":")[0] for own in set.union(*mounts.values())} == COMPOSE["volumes"].keys()
    assert not {*CONTAINERS["retriever"]["networks"]} & {*CONTAINERS["trainer"]["networks"]}


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or not (shutil.which("gcc") and shutil.which("objdump")),
    reason="gcc and objdump for x86-64 are needed",
)
def test_what_is_compiled_for_this_machine_is_compiled_for_others_too(tmp_path, monkeypatch, capsys):
    source = tmp_path / "sum.c"
    source.write_text("float sum(float *x, int n) { float s = 0; while (n--) s += x[n]; return s; }")
    monkeypatch.syspath_prepend(tmp_path)
    for name, flag in (("sum_native", "-march=native"), ("sum_later", "-march=x86-64-v3")):
        command = [DOCKER / "portable/portable-cc", "gcc", "-shared", "-fPIC", "-O3", "-ffast-math"]
        command += [flag, "-o", tmp_path / f"{name}.so", source]
        subprocess.run(command, check=True, timeout=60)
    assert check_portable(["sum_native"]) == 0
    assert "all of x86-64-v2" in capsys.readouterr().out
    assert check_portable(["sum_native", "sum_later"]) == 1
    assert "sum_later.so: " in capsys.readouterr().out


def run(command, folder, stubs, **more):
    """Run a script that meets scripts of ours by the names of commands."""
    for name, script in stubs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, **more, "PATH": f"{folder}:{os.environ['PATH']}"}
    how = {"capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(command, env=environment, check=False, **how)


@pytest.mark.parametrize(
    ("machine", "baseline"),
    [
        *((name, ["-march=x86-64-v2"]) for name in ("x86_64", "amd64")),
        *((name, ["-march=armv8-a"]) for name in ("aarch64", "arm64")),
        # There the compiler's own choice is for every processor.
        ("riscv64", []),
    ],
)
def test_the_compiler_gets_the_machines_baseline_and_all_other_flags(tmp_path, machine, baseline):
    commands = {"uname": f'[ "$*" = -m ] && echo {machine}', "gcc": """printf '%s\\n' "$@"; exit 3"""}
    given = ["-O3", "-march=native", "a b", "", "-mtune=native", "-mcpu=native", "-march=native-not"]
    done = run([DOCKER / "portable/portable-cc", "gcc", *given, "*"], tmp_path, commands)
    expected = ["-O3", *baseline, "a b", "", "-mtune=native", *baseline, "-march=native-not", "*"]
    assert (done.stdout.split("\n"), done.stderr) == ([*expected, ""], "")
    # What the compiler says counts.
    assert done.returncode == 3


def test_a_build_that_fails_fails_and_all_is_taken_down(tmp_path):
    compose = 'echo "$@" >> "$CALLS"; case "$*" in *" build "*) echo no space; exit 3;; esac'
    engines = {"docker": "exit 1", "podman": "exit 0", "podman-compose": compose}
    found = run([DOCKER / "containers.sh"], tmp_path, engines, CALLS=f"{tmp_path}/calls")
    assert found.returncode == 1
    assert "no space\ncontainers: FAILED: trainer: the build" in found.stdout
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1].endswith("down --volumes")
