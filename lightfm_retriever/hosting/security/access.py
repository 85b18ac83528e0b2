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

_HEALTH = "/grpc.health.v1.Health/"
_SCHEME = "bearer"
# Of a certificate that gRPC has taken.
_NAMES = ("x509_subject_alternative_name", "x509_common_name")
# A status that is too large becomes another one.
_MAX_NAMES_CHARACTERS = 500


def guard_of(settings: SecuritySettings) -> Guard | None:
    """Let calls pass that bring one of the tokens, as metadata `authorization: Bearer TOKEN`.

    None where no tokens are asked for. Raises HostingError for tokens that can't be used.
    """
    if settings.token_file is None:
        return None
    good = tokens.watch(settings.token_file)
    good.start()

    def guard(details: grpc.HandlerCallDetails) -> Handler | None:
        if details.method.startswith(_HEALTH):
            return None
        for key, value in details.invocation_metadata:
            if key == "authorization":
                scheme, _, token = str(value).partition(" ")
                if scheme.lower() == _SCHEME and good.value.allow(token.strip()):
                    return None
                return _WRONG
        return _MISSING

    return guard


def arounds(settings: SecuritySettings) -> tuple[Around, ...]:
    """Let calls pass whose client certificate has one of the names, DNS, URI or common name.

    None where no names are asked for.
    """
    good = frozenset(name.encode() for name in settings.allowed_clients)

    def around(method: str, behavior: Behavior, *, streams: bool) -> Behavior:  # noqa: ARG001
        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            shown: Any = context.auth_context()
            found = [name for kind in _NAMES for name in shown.get(kind, ())]
            if good.isdisjoint(found):
                _refuse_names(found, context)
            return behavior(request, context)

        return behavior if method.startswith(_HEALTH) else guarded

    return (around,) if good else ()


def _refuse_names(found: Sequence[bytes], context: grpc.ServicerContext) -> NoReturn:
    told = dict.fromkeys(name.decode("utf-8", "replace") for name in found)
    names = ", ".join(told)[:_MAX_NAMES_CHARACTERS] or "nobody"
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
