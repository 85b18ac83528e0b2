"""How commands that ask a service connect."""

import argparse
from pathlib import Path

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from lightfm_retriever.hosting.settings import layers


def security(*arguments, **environment):
    parser = argparse.ArgumentParser()
    client_flags.add(parser, layers.variables(environment, "SERVICE_"))
    return client_flags.client_security(parser.parse_args(list(map(str, arguments))))


def test_flags_and_variables_mean_the_same_and_a_flag_wins(tmp_path):
    assert security(SERVICE_CLIENT_CA="", SERVICE_CA="ca", OTHER_CLIENT_CA="ca") == PLAIN
    token = tmp_path / "token"
    token.write_text("first\nsecond\n")
    files = {name: Path(name) for name in ("ca", "cert", "key")}
    wanted = ClientSecurity(**files, server_name="name", token="first")  # noqa: S106
    flags = ["--ca", "ca", "--cert", "cert", "--key", "key", "--server-name", "name"]
    assert security(*flags, "--client-token-file", token) == wanted
    variables = {f"SERVICE_CLIENT_{name.upper()}": name for name in files}
    variables |= {"SERVICE_CLIENT_SERVER_NAME": "name", "SERVICE_CLIENT_TOKEN_FILE": str(token)}
    assert security(**variables) == wanted
    assert security("--ca", "ca", **{**variables, "SERVICE_CLIENT_CA": "another"}) == wanted
