"""Run the steps of a page as a reader would: in one shell, one folder, top to bottom."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.documents.comparing import said
from tests.documents.pages import Page, Step
from tests.machine import free_port

ROOT = Path(__file__).parents[2]
_PORTS = re.compile(r"\b(127\.0\.0\.1:|localhost:|0\.0\.0\.0:|(?<=[ =\"']):)(\d{4,5})\b")
# The log line of a retriever that serves a version, and of a trainer that takes calls.
_READY = re.compile(r"version \S+ is served|(?s:trainer.*listening on )")
_BASH = "/bin/bash"
_END = "__end_of_command__"
_BOOT_SECONDS = 60
_COMMAND_SECONDS = 100
DEMO_VOLUME = ".demo/volume"
_VOLUME = f"--volume {DEMO_VOLUME}"
SERVICES = {
    "demo service": f"lightfm-retriever serve {_VOLUME} --listen 127.0.0.1:50051 --workers 2",
    "trainer service": f"lightfm-trainer serve {_VOLUME} --listen 127.0.0.1:50052 --data-root .",
}


@dataclass
class Ran:
    """Result of a command: its output as a page shows it, its status, and whether it is a service."""

    step: Step
    command: int
    output: list[str] = field(default_factory=list)
    status: int = 0
    serves: bool = False


def _commands(text: str) -> Iterator[str]:
    """The commands of a block one by one, so that the status of each counts."""
    part: list[str] = []
    for line in text.splitlines():
        part.append(line)
        whole = "\n".join(part)
        if (
            not line.endswith("\\")
            and not subprocess.run([_BASH, "-n", "-c", whole], capture_output=True, check=False).stderr
        ):
            yield whole
            part = []
    if part:
        yield "\n".join(part)


class PageRunner:
    """Runs a page in a folder and a shell of its own, with free ports in place of the page's ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, str] = {}
        self._services: list[subprocess.Popen[bytes]] = []
        self._names: dict[str, Any] = {"__name__": "__main__"}
        (folder / ".venv").symlink_to(sys.prefix)
        if (ROOT / ".data").is_dir():
            (folder / ".data").symlink_to(ROOT / ".data")
        self._environment = {
            **os.environ,
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "COLUMNS": "100",
            "PYTHONWARNINGS": "ignore",
            "RETRIEVER_LISTEN": f"127.0.0.1:{self._free('50051')}",
            "TRAINER_LISTEN": f"127.0.0.1:{self._free('50052')}",
        }
        self._shell = subprocess.Popen(
            [_BASH, "--noprofile", "--norc"],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start(self, page: Page, demo_volume: Path) -> None:
        """Prepare the volume and the services that a page expects."""
        if page.given:
            shutil.copytree(demo_volume, self._folder / DEMO_VOLUME, copy_function=os.link)
        for given in page.given:
            if given in SERVICES:
                self._serve(SERVICES[given])

    def run(self, page: Page) -> Iterator[Ran]:
        """Run all steps; yields the result of each command."""
        for step in page.steps:
            if step.kind == "file":
                path = self._folder / step.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._mapped(step.text))
            elif step.kind == "console":
                for number, command in enumerate(step.commands):
                    yield self._run(step, number, command.text)
            elif step.kind == "bash":
                for text in _commands(step.text):
                    yield self._run(step, 0, text)
            else:
                yield self._python(step)

    def stop(self) -> None:
        """Stop the shell and all services."""
        for process in [*self._services, self._shell]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in [*self._services, self._shell]:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.stdout.close()

    def _run(self, step: Step, number: int, text: str) -> Ran:
        if text.rstrip().endswith(" &"):
            log = self._serve(text.rstrip().removesuffix("&"))
            return Ran(step, number, said(self._unmapped(log)), serves=True)
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{self._mapped(text)}\necho; echo {_END} $?\n")
        self._shell.stdin.flush()
        lines = []
        began = time.monotonic()
        for line in self._shell.stdout:
            if line.startswith(_END):
                # The runner printed the line before the mark.
                output = said(self._unmapped("".join(lines).removesuffix("\n")))
                return Ran(step, number, output, int(line.split()[1]))
            lines.append(line)
            if time.monotonic() - began > _COMMAND_SECONDS:
                break
        raise AssertionError(f"{text!r} didn't end; it said: {''.join(lines)}")

    def _python(self, step: Step) -> Ran:
        printed = io.StringIO()
        status = 0
        here = Path.cwd()
        os.chdir(self._folder)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                exec(compile(self._mapped(step.text), "page", "exec"), self._names)  # noqa: S102
        except Exception:
            printed.write(traceback.format_exc())
            status = 1
        finally:
            os.chdir(here)
        return Ran(step, 0, said(self._unmapped(printed.getvalue())), status)

    def _serve(self, command: str) -> str:
        """Start a service, and wait until it serves; returns its log until then."""
        log = self._folder / f".service-{len(self._services)}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [_BASH, "-c", f"exec {self._mapped(command).strip()}"],
                cwd=self._folder,
                env=self._environment,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._services.append(process)
        end = time.monotonic() + _BOOT_SECONDS
        while not _READY.search(log.read_text()):
            if time.monotonic() > end or process.poll() is not None:
                raise AssertionError(f"{command!r} doesn't serve: {log.read_text()}")
            time.sleep(0.05)
        return log.read_text()

    def _mapped(self, text: str) -> str:
        return _PORTS.sub(lambda found: f"{found[1]}{self._free(found[2])}", text)

    def _unmapped(self, text: str) -> str:
        for written, used in self._ports.items():
            text = text.replace(f":{used}", f":{written}")
        return text.replace(f"{self._folder}/", "").replace(str(self._folder), ".")

    def _free(self, written: str) -> str:
        if written not in self._ports:
            self._ports[written] = str(free_port())
        return self._ports[written]
