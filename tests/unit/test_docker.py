"""The images' and the compose file's text, and the scripts beside them; `make containers` runs them."""

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
USER = "10001:10001"
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
def test_an_image_runs_as_nobody_in_particular_with_what_was_installed(service):
    stage = last_stage(service)
    assert only(stage, "USER") == USER
    assert [rest for word, rest in stage if word == "COPY"] == ["--from=installed /opt/venv /opt/venv"]
    assert not re.search(r"\b(gcc|g\+\+|make|pip)\b", only(stage, "RUN"))


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is(service):
    labels = dict(pair.split("=", 1) for pair in shlex.split(only(last_stage(service), "LABEL")))
    prefix = "org.opencontainers.image."
    assert service in labels[f"{prefix}title"]
    assert labels[f"{prefix}description"]
    assert labels[f"{prefix}licenses"] == PROJECT["license"]
    assert labels[f"{prefix}version"] == PROJECT["version"]
    assert CONTAINERS[service]["image"].endswith(f":{PROJECT['version']}")


def test_both_begin_with_the_same_stage_on_the_same_base():
    first = [instructions(service) for service in SERVICES]
    ends = [[word for word, _ in found].index("FROM", 2) for found in first]
    assert first[0][: ends[0]] == first[1][: ends[1]]
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+", argument("trainer", "PYTHON"))
    assert argument("trainer", "PYTHON") == argument("retriever", "PYTHON")
    for service in SERVICES:
        bases = {rest for word, rest in instructions(service) if word == "FROM"}
        assert all(base.startswith(("python:${PYTHON}", "compiled ", "installed ")) for base in bases)


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
def test_all_that_is_compiled_is_checked(service):
    text = " ".join(rest for word, rest in instructions(service) if word == "RUN")
    compiled = {name for names in re.findall(r"--no-binary (\S+)", text) for name in names.split(",")}
    [checked] = re.findall(r"check_portable\.py ([\w. ]+)", text)
    assert {"annoy", "nmslib"} <= compiled
    for name in compiled:
        assert name.removeprefix("rectools-") in checked


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_copied_is_there_and_not_ignored(service):
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for word, rest in instructions(service):
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(source.rstrip("/").startswith(own) for own in allowed), source


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
    parse = trainer_arguments.parse if service == "trainer" else retriever_command._parse
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


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_can_do_little(name):
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["user"] == USER
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in container
    assert all(container[limit] for limit in ("mem_limit", "cpus", "pids_limit"))
    assert all(own.startswith("/tmp:size=") and "noexec" in own for own in container["tmpfs"])  # noqa: S108


@pytest.mark.parametrize("name", CONTAINERS)
def test_ports_are_this_machines_only(name):
    for port in CONTAINERS[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


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


def test_a_training_waits_for_the_service_and_the_dataset_and_the_retriever_for_nothing():
    assert CONTAINERS["train"]["depends_on"] == {
        "trainer": {"condition": "service_healthy"},
        "movielens": {"condition": "service_completed_successfully"},
    }
    assert "depends_on" not in CONTAINERS["retriever"]
    # `up` trains nothing.
    assert [name for name, own in CONTAINERS.items() if "profiles" not in own] == SERVICES


LINES = """
/x.so:     file format elf64-x86-64

0000000000001000 <f>:
    1000:\tmulss  %xmm1,%xmm0
    1004:\tpextrd $0x1,%xmm0,%eax
    1008:\ttzcnt  %eax,%ecx
    100c:\tret
"""


def test_instructions_of_the_baseline_pass():
    assert check_portable.beyond(LINES.splitlines()) == (4, {})


@pytest.mark.parametrize(
    "later",
    [
        "vmulss %xmm1,%xmm0,%xmm0",
        "vaddps %ymm0,%ymm1,%ymm2",
        "kmovw  %eax,%k1",
        "shlx   %eax,%ecx,%edx",
    ],
)
def test_a_later_instruction_is_found(later):
    found = check_portable.beyond([*LINES.splitlines(), f"    1010:\t{later}"])
    assert found == (5, {later.split()[0]: 1})


LINES_OF_ARM = """
/x.so:     file format elf64-littleaarch64

0000000000001000 <f>:
    1000:\tfmla\tv0.4s, v1.4s, v2.4s
    1004:\tldadd\tw0, w1, [x2]
    1008:\tfcvtl\tv0.4s, v1.4h
    100c:\tret
"""


def test_instructions_of_arms_baseline_pass():
    assert check_portable.beyond(LINES_OF_ARM.splitlines(), "aarch64") == (4, {})


@pytest.mark.parametrize(
    "later",
    [
        "sdot\tv0.4s, v1.16b, v2.16b",
        "fadd\tv0.8h, v1.8h, v2.8h",
        "ld1w\t{z0.s}, p0/z, [x0]",
        "whilelo\tp0.s, xzr, x1",
        "bfmmla\tv0.4s, v1.8h, v2.8h",
    ],
)
def test_a_later_instruction_of_arm_is_found(later):
    found = check_portable.beyond([*LINES_OF_ARM.splitlines(), f"    1010:\t{later}"], "aarch64")
    assert found == (5, {later.split()[0]: 1})


def test_a_machine_without_a_baseline_is_said_not_to_be_checked(monkeypatch, capsys):
    monkeypatch.setattr(check_portable.platform, "machine", lambda: "riscv64")
    assert check_portable.main(["no_such_module"]) == 0
    assert capsys.readouterr().out.startswith("not checked: riscv64 isn't one of x86_64, ")


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


def test_a_module_that_is_not_there_is_not_taken_for_portable(capsys):
    assert check_portable.main(["no_such_module"]) == 1
    assert capsys.readouterr().out == "no_such_module: isn't installed\n"


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


def test_baselines_are_those_that_are_checked():
    text = (DOCKER / "portable/portable-cc").read_text()
    assert set(re.findall(r"baseline=-march=(\S+)", text)) == set(check_portable.BASELINES.values())


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


def test_without_an_engine_the_containers_are_skipped(containers):
    found = containers()
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == (
        "containers: skipped: no engine is found (docker with compose, or podman with podman-compose)\n"
    )


def test_a_build_that_fails_fails_and_all_is_taken_down(containers, tmp_path):
    compose = 'echo "$@" >> "$CALLS"; case "$*" in *" build "*) echo no space; exit 3;; esac'
    found = containers(podman="exit 0", podman_compose=compose)
    assert found.returncode == 1
    assert "no space\ncontainers: FAILED: trainer: the build" in found.stdout
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1].endswith("down --volumes")
