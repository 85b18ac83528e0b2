import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import ExtraMissingError, OptionError
from trainer.tracking.options import TrackingOptions, without_credentials


@pytest.mark.parametrize(
    "uri",
    [
        *("http://127.0.0.1:5000", "https://mlflow.example/base/", "http://u:p%40@h:80"),
        *("http://[::1]:5000",),
    ],
)
def test_a_server_is_taken(uri):
    assert TrackingOptions(uri=uri).uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("", "mlruns", "file:///mlruns", "sqlite:///m.db", "127.0.0.1:5000", "http://", "http://h:x"),
        *("http://h:0", "http://h:70000", "http://h/?a=b", "http://h/#a", "http://h o", "http://h\n"),
        *("databricks", "http://[::1"),
    ],
)
def test_what_is_no_server_is_an_error(uri):
    expected = "the address of an MLflow server, such as http://127.0.0.1:5000"
    with pytest.raises(OptionError, match=expected) as caught:
        TrackingOptions(uri=uri)
    assert caught.value.option == "--mlflow-uri"


@pytest.mark.parametrize("uri", ["ftp://u:geheim@h", "u:geheim@h:5000", "http://u:geheim@h:x"])
def test_an_error_shows_no_password(uri):
    with pytest.raises(OptionError) as caught:
        TrackingOptions(uri=uri)
    assert "geheim" not in str(caught.value)
    assert "h" in str(caught.value)


def test_nothing_shows_a_password():
    options = TrackingOptions(uri="https://u:geheim@h:5000/base/")
    assert options.address == "https://***@h:5000/base"
    assert "geheim" not in repr(options)
    text = "API request to http://u:geheim@h/api failed, see https://h2/a@b"
    assert without_credentials(text) == "API request to http://***@h/api failed, see https://h2/a@b"
    assert TrackingOptions().address == ""


@given(st.from_regex(r"[a-z]{1,9}:[!$&'()*+,;=a-z0-9:@%_-]{1,9}", fullmatch=True))
def test_credentials_of_any_form_are_hidden(pair):
    assert without_credentials(f"to http://{pair}@host/x: no") == "to http://***@host/x: no"


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"experiment": " "}, "--mlflow-experiment"),
        ({"experiment": "x" * 501}, "--mlflow-experiment"),
        ({"seconds": 0.5}, "--mlflow-timeout"),
        ({"seconds": float("nan")}, "--mlflow-timeout"),
    ],
)
def test_other_values_have_a_range(given, flag):
    with pytest.raises(OptionError) as caught:
        TrackingOptions(**given)
    assert caught.value.option == flag


def test_without_the_client_only_a_server_is_refused(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mlflow" else find(name)
    )
    TrackingOptions()
    with pytest.raises(ExtraMissingError, match=r"pip install 'lightfm-retriever\[mlflow\]'"):
        TrackingOptions(uri="http://h")
