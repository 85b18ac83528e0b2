"""The connection of a client: retries, pings, and how much it takes."""

from __future__ import annotations

from importlib import resources

import grpc

from lightfm_retriever.hosting.calling.first_contact import FirstContact, Services
from lightfm_retriever.hosting.security import credentials
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity

MAX_RESPONSE_BYTES = 64 << 20
"""The largest answer that is taken: with many attributes it may be larger than gRPC's default."""

_SERVICES = Services(
    "recsys.retriever.v1.RetrieverService",
    {
        "recsys.trainer.v1.TrainerService": "a trainer answers there, which recommends nothing: give "
        "the retriever's own port, or ask the trainer by 'python -m trainer'"
    },
)


def retry_policy() -> str:
    """The gRPC service config (JSON): retry what a dying or draining worker refused."""
    return resources.files("retriever").joinpath("retry_policy.json").read_text("utf-8")


def open_channel(target: str, security: ClientSecurity = PLAIN) -> grpc.Channel:
    """A channel with a connection of its own, retries, and pings that notice a dead peer.

    Raises HostingError for certificates that can't be used.
    """
    return credentials.open_channel(
        target,
        security,
        [
            ("grpc.service_config", retry_policy()),
            ("grpc.enable_retries", 1),
            ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
            # Channels with equal arguments otherwise share one connection, and so one worker.
            ("grpc.use_local_subchannel_pool", 1),
            # A worker that is gone without a word is noticed after 10 + 5 seconds.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            # A service that was away is looked for again at once, then every second at the least.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ],
    )


def first_contact(channel: grpc.Channel, target: str, security: ClientSecurity = PLAIN) -> FirstContact:
    """Looks whether a retriever is at the other end of a channel."""
    return FirstContact(channel, target, security, _SERVICES)
