"""Who may call: those with a bearer token, and those whose certificate names them.

Health checks are exempt, since probes and proxies send no tokens; a handshake without a client
certificate fails for them as for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
from google.rpc import code_pb2

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.calls import Around, Behavior, Guard, Handler, refusing_handler
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.security.watched_files import Reloading

_HEALTH = "/grpc.health.v1.Health/"
_SCHEME = "bearer"
# A status that is too large becomes another one.
_MAX_NAMES_CHARACTERS = 500


class TokenGuard:
    """Lets calls pass that bring one of the tokens, as metadata `authorization: Bearer TOKEN`."""

    def __init__(self, good: Reloading[tokens.Tokens]) -> None:
        self._good = good

    def __call__(self, details: grpc.HandlerCallDetails) -> Handler | None:
        """None to let it pass, else a handler that refuses it."""
        if details.method.startswith(_HEALTH):
            return None
        for key, value in details.invocation_metadata:
            if key == "authorization":
                scheme, _, token = str(value).partition(" ")
                if scheme.lower() == _SCHEME and self._good.value.allow(token.strip()):
                    return None
                return _WRONG
        return _MISSING


class NamesAround:
    """Lets calls pass whose client certificate has one of some names, DNS, URI or common name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(name.encode() for name in names)

    def __call__(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:  # noqa: ARG002
        """A behavior that looks at the certificate first."""
        if method.startswith(_HEALTH):
            return behavior

        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            shown = context.auth_context()
            if self._names.isdisjoint(shown.get("x509_subject_alternative_name", ())) and (
                self._names.isdisjoint(shown.get("x509_common_name", ()))
            ):
                _refuse_names(shown, context)
            return behavior(request, context)

        return guarded


def guards(settings: SecuritySettings) -> tuple[Guard, ...]:
    """What `settings` ask for; raises HostingError for tokens that can't be used."""
    if settings.token_file is None:
        return ()
    good = tokens.watch(settings.token_file)
    good.start()
    return (TokenGuard(good),)


def arounds(settings: SecuritySettings) -> tuple[Around, ...]:
    """What `settings` ask for."""
    return (NamesAround(settings.allowed_clients),) if settings.allowed_clients else ()


def _refuse_names(shown: Any, context: grpc.ServicerContext) -> NoReturn:
    found = [
        name.decode("utf-8", "replace")
        for kind in ("x509_subject_alternative_name", "x509_common_name")
        for name in shown.get(kind, ())
    ]
    names = ", ".join(dict.fromkeys(found))[:_MAX_NAMES_CHARACTERS] or "nobody"
    text = f"the client certificate names {names}, which the service's --tls-allowed-clients doesn't"
    denied = statuses.make(code_pb2.PERMISSION_DENIED, text, statuses.reason("CLIENT_NOT_ALLOWED"))
    statuses.abort(context, statuses.to_grpc(denied))


def _unauthenticated(reason: str, message: str) -> Handler:
    told = statuses.make(code_pb2.UNAUTHENTICATED, message, statuses.reason(reason))
    status = statuses.to_grpc(told)
    return refusing_handler(lambda context: context.abort_with_status(status))


_MISSING = _unauthenticated(
    "TOKEN_MISSING",
    "this service wants a token, as metadata 'authorization: Bearer TOKEN' (--client-token-file)",
)
_WRONG = _unauthenticated(
    "TOKEN_WRONG", "the authorization isn't 'Bearer' and one of the tokens that this service knows"
)
