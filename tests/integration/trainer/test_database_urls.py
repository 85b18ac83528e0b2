"""What the address of a database makes libpq do, with a host that offers TLS as PostgreSQL does."""

import socket
import socketserver
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests import certificates
from trainer.data.data_roots import DataRoots
from trainer.data.databases import url as database_url
from trainer.data.databases.sql import read_interactions_sql
from trainer.errors import OptionError, TrainerError

_PATIENCE = 60
_TLS_WANTED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
# What a server sends when it wants a password as it is.
_PASSWORD_WANTED = b"R\x00\x00\x00\x08\x00\x00\x00\x03"


class Host(socketserver.TCPServer):
    """Takes connections as PostgreSQL does, up to the password, and notes who had a certificate."""

    def __init__(self, folder):
        self.certificates, self.passwords = [], []
        own = certificates.write(folder, certificates.issue("127.0.0.1"), "server")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own["cert"], own["key"])
        self._context.load_verify_locations(
            cadata=certificates.authority(certificates.OURS).cert_pem.bytes().decode()
        )
        self._context.verify_mode = ssl.CERT_OPTIONAL
        super().__init__(("127.0.0.1", 0), None)
        self.port = self.server_address[1]

    def finish_request(self, connection, client_address):  # noqa: ARG002 - its base's
        connection.settimeout(_PATIENCE)
        if connection.recv(8) == _TLS_WANTED:
            connection.sendall(b"S")
            connection = self._context.wrap_socket(connection, server_side=True)
            self.certificates.append(connection.getpeercert(binary_form=True) is not None)
        with connection:
            connection.recv(1 << 12)
            connection.sendall(_PASSWORD_WANTED)
            answer = connection.recv(1 << 12)
            if answer[:1] == b"p":
                self.passwords.append(answer[5:].rstrip(b"\0").decode())

    def handle_error(self, request, client_address):
        """Nobody asks for what a client makes of it."""


@pytest.fixture
def host(tmp_path):
    with Host(tmp_path) as running, ThreadPoolExecutor(1) as pool:
        pool.submit(running.serve_forever, 0.01)
        yield running
        running.shutdown()


def read(url):
    """Read what the address gives; our host gives nothing."""
    with pytest.raises(TrainerError) as caught:
        read_interactions_sql("SELECT 1 AS user_id, 2 AS item_id", url)
    return caught.value


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://ann:pass@127.0.0.1:{port}/d?sslmode=require&sslkeylogfile={path}",
        "postgres://127.0.0.1:{port}/d?user=ann&password=pass&%73%73lkeylogfile={path}",
        "postgresql://ann:pass@127.0.0.1:{port}/d?sslkeylogfile={path}&sslkeylogfile=",
        "postgresql://ann:pass@127.0.0.1:{port}/sslkeylogfile%3D{path}",
        "postgresql://ann:pass@127.0.0.1:{port}/x%20sslkeylogfile%3D{path}",
        "postgresql://ann:pass@127.0.0.1:{port}/d?dbname=host%3D127.0.0.1%20sslkeylogfile%3D{path}",
        "postgresql://ann:pass@127.0.0.1:{port}/?dbname=sslkeylogfile%3D{path}",
        "postgresql://ann:pass@/d?host=127.0.0.1%20sslkeylogfile%3D{path}&port={port}",
        "postgresql://ann:pass@127.0.0.1:{port}/d?application_name=x%26sslkeylogfile%3D{path}",
        "postgresql://ann:pass%26sslkeylogfile%3D{path}@127.0.0.1:{port}/d",
        "host=127.0.0.1 port={port} user=ann password=pass dbname=d sslkeylogfile={path}",
        "sqlite:///file:{path}%3Fmode=rwc",
        "sqlite:///{path}?mode=rwc",
    ],
)
def test_no_address_writes_a_file(host, tmp_path, written):
    there, new = tmp_path / "current", tmp_path / "new"
    there.write_text("20261126T170935Z-68c8a5\n")
    before = sorted(tmp_path.iterdir())
    for path in (there, new):
        url = written.format(port=host.port, path=quote(str(path), safe=""))
        read(url)
        try:
            url = DataRoots([]).resolve_url(url)
        except OptionError:
            continue
        read(url)
    assert there.read_text() == "20261126T170935Z-68c8a5\n"
    assert sorted(tmp_path.iterdir()) == before


def test_a_host_learns_of_the_trainers_own_what_its_operator_says_and_nothing_where_a_caller_names_it(
    host, tmp_path, monkeypatch
):
    own = certificates.write(tmp_path, certificates.issue("trainer"))
    own["key"].chmod(0o600)
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:trainers-own\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSSLCERT", str(own["cert"]))
    monkeypatch.setenv("PGSSLKEY", str(own["key"]))
    monkeypatch.setenv("PGPASSWORD", "trainers-own")
    address = f"postgresql://ann@127.0.0.1:{host.port}/d?sslmode=require"
    read(address)
    assert (host.certificates.pop(), host.passwords.pop()) == (True, "trainers-own")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
    roots = DataRoots([])
    with pytest.raises(OptionError, match="with a user and a password"):
        roots.resolve_url(address)
    read(roots.resolve_url(f"postgresql://ann:own@127.0.0.1:{host.port}/d?sslmode=require"))
    assert (host.certificates, host.passwords) == ([False], ["own"])


def test_an_address_from_a_caller_is_checked_again_when_its_run_looks_up_the_host(host, monkeypatch):
    url = DataRoots([]).resolve_url(f"postgresql://ann:own@db.example:{host.port}/d")
    addresses = iter(["169.254.169.254", "127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (next(addresses), 0))])
    assert "a cloud's metadata address" in str(read(url))
    # libpq asks nobody for the name itself.
    read(url)
    assert host.passwords == ["own"]
    assert database_url.parse(url).hosts == (("db.example", str(host.port)),)
