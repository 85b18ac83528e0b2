"""The one volume of a fleet, in an object store, and each retriever's own network to it."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.volume import open_volume
from tests.fault_proxy import FaultProxy
from tests.load import models
from tests.load.models import Model
from tests.seaweedfs import Server

_PREFIX = "fleet"


class Origin:
    """The volume as who publishes to it sees it, whose network never fails.

    Args:
        server: the store; its variables must be in the environment.
        folder: where versions are made before they are uploaded.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._volume = open_volume(parse_location(server.url(_PREFIX)), folder)

    def publish(self, number: int) -> Model:
        """Publish a version of its own number."""
        model = models.publish(self._volume.folder, "ab"[number % 2], number)
        self._volume.upload(model.version)
        return model

    def promote(self, version: str) -> None:
        """Move the label."""
        self._volume.promote(version)


class Link:
    """A retriever's way to the volume, which can be cut.

    Attributes:
        volume: what --volume is.
        cache: what --cache-dir is.
        environment: variables of the retriever.
    """

    def __init__(self, server: Server, proxy: FaultProxy, cache: Path) -> None:
        self.volume = server.url(_PREFIX)
        self.cache = cache
        self.environment = {**server.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
        self._proxy = proxy

    def cut(self, *, silently: bool) -> None:
        """From now on connections, open ones too, are closed; or nothing comes through them."""
        if silently:
            self._proxy.hang()
        else:
            self._proxy.refuse()

    def mend(self) -> None:
        """Let all through again."""
        self._proxy.forward()
