"""Says which MLflow server gets the runs, and how long that may take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from lightfm_retriever.hosting import extras, options
from lightfm_retriever.hosting.options import Option
from trainer.errors import ExtraMissingError, OptionError

_EXAMPLE = "the address of an MLflow server, such as http://127.0.0.1:5000"
_MOST_NAME = 500
# The part of an address before its last @.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")


@dataclass(frozen=True, kw_only=True)
class TrackingOptions:
    """The MLflow server of all runs of a command or of a service.

    Only the operator sets it. No request does, so that no caller chooses a host for the service.
    """

    uri: Annotated[
        str | None,
        Option(
            "send each run's parameters, metrics and artefacts to this MLflow server, such as "
            "http://127.0.0.1:5000; needs the extra mlflow",
            flag="mlflow_uri",
            metavar="URL",
        ),
    ] = field(default=None, repr=False)
    experiment: Annotated[
        str,
        Option(
            "the experiment of the runs, made if it is missing",
            flag="mlflow_experiment",
            metavar="NAME",
        ),
    ] = "lightfm-retriever"
    seconds: Annotated[
        float,
        Option(
            "how long sending a run may take; then a warning says that it wasn't sent",
            ge=1,
            le=600,
            flag="mlflow_timeout",
            metavar="SECONDS",
        ),
    ] = 30.0

    def __post_init__(self) -> None:
        """Raise OptionError for a wrong value, and ExtraMissingError if the client isn't installed."""
        options.check(self, OptionError)
        if not self.experiment.strip() or len(self.experiment) > _MOST_NAME:
            expected = f"a name of 1 to {_MOST_NAME} characters"
            raise OptionError("--mlflow-experiment", self.experiment, expected)
        if self.uri is None:
            return
        if not _is_server(self.uri):
            # Even a wrong address may have a password.
            _, at, rest = self.uri.rpartition("@")
            raise OptionError("--mlflow-uri", f"***@{rest}" if at else rest, _EXAMPLE)
        if (module := extras.first_missing(["mlflow"])) is not None:
            raise ExtraMissingError("--mlflow-uri", "mlflow", module)

    @property
    def address(self) -> str:
        """The server's address without credentials; "" without a server."""
        return without_credentials(self.uri or "").rstrip("/")


def without_credentials(text: str) -> str:
    """Replace the user and the password of every address in a text by ***."""
    return _CREDENTIALS.sub("***@", text)


def _is_server(text: str) -> bool:
    if not text.isprintable() or " " in text:
        return False
    try:
        url = urlsplit(text)
        # Reading the port also checks it.
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return url.scheme in ("http", "https") and named and not url.query and not url.fragment
