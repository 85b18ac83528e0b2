"""Access control: allow calls by bearer token and by the names in client certificates.

A client must meet every check that is switched on. Health checks are exempt from both, because probes
and proxies send no tokens. But if client certificates are required, the handshake requires one from
every client.
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
# gRPC's properties for the names in a client certificate.
_NAMES = ("x509_subject_alternative_name", "x509_common_name")
# gRPC replaces a status that is too large.
_MAX_NAMES_CHARACTERS = 500


def guard_of(settings: SecuritySettings) -> Guard | None:
    """Make a guard that allows calls with one of the tokens, in metadata `authorization: Bearer TOKEN`.

    Returns None if no tokens are configured. Raises HostingError if the tokens can't be used.
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
    """Make a wrapper that allows calls whose client certificate has one of the allowed names.

    A name is a DNS name, a URI or the common name. Returns no wrapper if no names are configured.
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
    text = f"the client certificate names {names}, which isn't in the service's --tls-allowed-clients"
    denied = statuses.make(code_pb2.PERMISSION_DENIED, text, statuses.reason("CLIENT_NOT_ALLOWED"))
    statuses.abort(context, statuses.to_grpc(denied))


def _unauthenticated(reason: str, message: str) -> Handler:
    told = statuses.make(code_pb2.UNAUTHENTICATED, message, statuses.reason(reason))
    status = statuses.to_grpc(told)
    return refusing_handler(lambda context: context.abort_with_status(status))


_MISSING = _unauthenticated(
    "TOKEN_MISSING",
    "this service requires a token: send metadata 'authorization: Bearer TOKEN' (--client-token-file)",
)
_WRONG = _unauthenticated(
    "TOKEN_WRONG", "the metadata 'authorization' isn't 'Bearer TOKEN' with a token of this service"
)
