"""What the flags of both services set."""

import argparse

import pytest

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.settings import flags, layers, option_flags

TLS = ["--tls-cert", "cert", "--tls-key", "key", "--tls-client-ca", "ca"]


def hosting(*arguments, environment=()):
    parser = argparse.ArgumentParser()
    flags.add_flags(parser)
    layers.apply(parser, arguments, dict(environment), prefix="SERVICE_")
    return option_flags.made(flags.Hosting, vars(parser.parse_args(arguments)))


def test_names_are_listed_with_commas_and_an_empty_list_lets_nobody_in(capsys, tmp_path):
    security = hosting(*TLS, "--tls-allowed-clients", " a.example, spiffe://ours/b,").security
    assert security.allowed_clients == ("a.example", "spiffe://ours/b")
    with pytest.raises(SystemExit):
        hosting(*TLS, "--tls-allowed-clients", " ,")
    assert "--tls-allowed-clients: there is no name in it" in capsys.readouterr().err
    with pytest.raises(HostingError, match="SERVICE_TLS_ALLOWED_CLIENTS is ',': there is no name in"):
        hosting(*TLS, environment={"SERVICE_TLS_ALLOWED_CLIENTS": ","})
    file = tmp_path / "layers.toml"
    file.write_text("tls_allowed_clients = []")
    with pytest.raises(HostingError, match="tls_allowed_clients is '': there is no name in it"):
        hosting(*TLS, "--config", str(file))
