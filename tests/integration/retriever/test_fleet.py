"""The status of several retrievers that run."""

from retriever.__main__ import main
from tests import certificates
from tests.certificates import Secret


def test_certificates_and_tokens_are_shown_to_each(start, volume, tmp_path, capsys):
    secret = Secret(tmp_path / "secret", certificates.issue())
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token\n")
    flags = {"tls_cert": secret.cert, "tls_key": secret.key, "token_file": tokens}
    secured = [start(volume, serving=False, workers=1, **flags) for _ in range(2)]
    targets = [service.target for service in secured]

    def ask(*flags):
        code = main(["status", "--fleet", ",".join(targets), *flags])
        captured = capsys.readouterr()
        assert captured.err == ""
        return code, captured.out

    shown = ["--ca", str(secret.ca), "--client-token-file", str(tokens)]
    while (answer := ask(*shown))[0]:
        pass
    assert answer[1].startswith("all 2 serve ")
    code, output = ask("--ca", str(secret.ca))
    assert (code, output.count("UNAUTHENTICATED")) == (1, 2)
    code, output = ask()
    assert (code, output.count("the service requires TLS: give --ca")) == (1, 2)
