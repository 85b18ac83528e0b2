"""Connections of services and clients: plain, TLS or mutual TLS, with or without a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import grpc

from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings

if TYPE_CHECKING:
    from lightfm_retriever.hosting.security.certificates import Certificates


def add_port(server: grpc.Server, address: str, settings: SecuritySettings) -> int:
    """Let a server listen, and return the port.

    Raises:
        HostingError: the certificates can't be used.
        RuntimeError: the address can't be used.
    """
    if not settings.tls:
        return server.add_insecure_port(address)
    # Imported here, because it takes memory that a service without TLS doesn't need.
    from lightfm_retriever.hosting.security import certificates

    watched = certificates.watch(settings)
    watched.start()
    given = watched.value

    def new() -> grpc.ServerCertificateConfiguration | None:
        """Return the configuration of new handshakes; None if it hasn't changed. Called before each."""
        nonlocal given
        if watched.value is given:
            return None
        given = watched.value
        return _configuration(given)

    credentials = grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        cast("Any", new),
        require_client_authentication=settings.client_ca is not None,
    )
    return server.add_secure_port(address, credentials)


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificates.key, certificates.chain)], certificates.authorities
    )


def open_channel(
    target: str, security: ClientSecurity, options: Sequence[tuple[str, Any]]
) -> grpc.Channel:
    """Open a client's channel. Raises HostingError if the certificates can't be used."""
    if security.ca is None:
        channel = grpc.insecure_channel(target, options)
    else:
        from lightfm_retriever.hosting.security import certificates

        authorities, *pair = certificates.read_client(security)
        chain, key = pair or (None, None)
        if security.server_name is not None:
            options = [*options, ("grpc.ssl_target_name_override", security.server_name)]
        channel = grpc.secure_channel(
            target, grpc.ssl_channel_credentials(authorities, key, chain), options
        )
    # gRPC refuses its own call credentials without TLS, so an interceptor adds the token.
    return (
        channel if security.token is None else grpc.intercept_channel(channel, _Token(security.token))
    )


class _Token(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Send a bearer token with each call."""

    def __init__(self, token: str) -> None:
        self._metadata = ("authorization", f"Bearer {token}")

    def _send(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), self._metadata]
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_unary_stream = _send  # type: ignore[assignment]
    intercept_stream_unary = intercept_stream_stream = _send  # type: ignore[assignment]
