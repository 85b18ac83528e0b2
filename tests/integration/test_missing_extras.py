"""Both programs with packages missing: every command says which, or works; help always does."""

import json
import os
import subprocess
import sys

import pytest

from lightfm_retriever.hosting import extras
from tests import retrievable

# A package that can't be imported, in every process below.
BLOCKING = """
import os, sys
class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocking())
"""
# Runs commands one after the other: what can't be imported is tried anew by each.
EACH = """
import contextlib, importlib, io, json, sys
main = importlib.import_module(f"{sys.argv[1]}.__main__").main
for command in json.loads(sys.argv[2]):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = main(command)
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, output.getvalue(), errors.getvalue()]))
"""
TRAIN = ["train", "--interactions=a.csv"]
BATCHES = ("batch-recommend none", "batch-similar-items none")
NOWHERE = ["--target", "127.0.0.1:1", "--timeout", "0.1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extras")
    (folder / "sitecustomize.py").write_text(BLOCKING)
    return folder


@pytest.fixture(scope="module")
def version(place):
    return retrievable.publish(place / "volume")


def commands(program, volume, version):
    """One of each command; what they act upon isn't there unless they only read."""
    none, here = f"--volume {volume}-none", f"--volume {volume}"
    if program == "retriever":
        asked = ("recommend 0", "similar-items 0", "status", "health", *BATCHES)
        alone = [f"serve {here} --listen 256.0.0.1:1"]
    else:
        asked = ("runs", "run x", "watch x", "cancel x", "append none.csv", "health")
        alone = [
            f"train --interactions none.csv {none}",
            f"publish --item-vectors none --item-ids none {none}",
            f"tune --interactions none.csv --output {volume}-study",
            f"remove-events --user x {none}",
            f"serve {none} --listen 127.0.0.1:0",
            "fetch-dataset movielens-100k --data-dir /proc/none",
            *(f"{own} {version} {none}" for own in ("promote", "delete")),
            *(f"{own} {none}" for own in ("report", "rollback")),
            *(f"{own} {here}" for own in (f"version {version}", "versions", "verify")),
            f"diff {version} {version} {here}",
        ]
    return [*([*own.split(), *NOWHERE] for own in asked), *map(str.split, alone)]


def python(place, arguments, blocked):
    path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "BLOCKED": ",".join(blocked)}
    how = {"capture_output": True, "text": True, "timeout": 100}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=place, env=environment, check=False, **how)


def each_of(place, program, commands, blocked):
    """Exit status, output and errors of each."""
    done = python(place, ["-c", EACH, program, json.dumps(commands)], blocked)
    assert done.returncode == 0, done.stderr
    return zip(commands, map(json.loads, done.stdout.splitlines()), strict=True)


@pytest.mark.parametrize("program", ["trainer", "retriever"])
def test_without_the_programs_extra_every_command_names_it(place, version, program):
    wanted = commands(program, place / "volume", version)
    for command, (status, _, errors) in each_of(place, program, wanted, extras.MODULES[program]):
        assert status == 1, command
        [line] = errors.splitlines()
        assert line.startswith(f"error: lightfm-{program} {command[0]} needs '")
        assert line.endswith(f"isn't installed: pip install 'lightfm-retriever[{program}]'")


@pytest.mark.parametrize("program", ["trainer", "retriever"])
def test_help_needs_no_extra(place, program):
    blocked = sorted({name for modules in extras.MODULES.values() for name in modules})
    cases = [[*command[:1], "--help"] for command in [[], *commands(program, "v", "x")]]
    for command, (status, output, errors) in each_of(place, program, cases, blocked):
        assert (status, errors) == (0, ""), command
        assert output.startswith("usage: ")
        assert not {"None", "True", "False", "[]"}.intersection(output.replace(")", " ").split())


@pytest.mark.parametrize(
    ("module", "program", "command", "extra"),
    [
        ("grpc_reflection", "trainer", ["serve", "--volume", "volume"], "trainer"),
        ("prometheus_client", "retriever", ["serve", "--volume", "volume"], "retriever"),
        ("obstore", "trainer", ["versions", "--volume", "s3://bucket/place"], "store"),
        ("obstore", "retriever", ["serve", "--volume=s3://b/p", "--cache-dir=x"], "store"),
        ("rich", "retriever", ["status", *NOWHERE], "retriever"),
        ("annoy", "trainer", [*TRAIN, "--volume=volume"], "trainer"),
        ("shtab", "retriever", ["completion", "bash"], "retriever"),
        ("nmslib", "trainer", ["report", "--backend=nmslib", "--volume=volume"], "nmslib"),
        ("optuna", "trainer", ["tune", "--interactions=a.csv"], "tune"),
        ("mlflow", "trainer", [*TRAIN, "--volume=volume", "--mlflow-uri=http://a:1"], "mlflow"),
        ("matplotlib", "trainer", ["report", "--volume=volume"], "report"),
        ("opentelemetry", "retriever", ["serve", "--volume=v", "--otlp-endpoint=http://a:1"], "otlp"),
        ("pyspark", "trainer", [*TRAIN, "--engine=spark-als", "--volume=other"], "spark"),
    ],
)
def test_a_part_of_an_extra_that_is_missing_is_named(place, version, module, program, command, extra):
    (place / "a.csv").write_text("user_id,item_id\n" + "".join(f"{n % 7},{n % 5}\n" for n in range(35)))
    done = python(place, ["-m", program, *command], [module])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].endswith(f"pip install 'lightfm-retriever[{extra}]'")


@pytest.mark.parametrize(
    ("module", "blocked", "package"),
    [
        ("trainer.client", extras.MODULES["trainer"], "protobuf"),
        ("retriever.client", ("grpc_status",), "grpcio-status"),
    ],
)
def test_who_imports_a_client_is_told_of_the_extra(place, module, blocked, package):
    done = python(place, ["-c", f"import {module}"], blocked)
    assert done.returncode == 1
    told = f"ModuleNotFoundError: the client needs '{package}', which isn't installed: "
    assert done.stderr.splitlines()[-1] == f"{told}pip install 'lightfm-retriever[retriever]'"
