"""Call a retriever from Python. Calls survive the death of a worker and the replacement of the service.

    from retriever.client import RetrieverClient, any_of

    with RetrieverClient("127.0.0.1:50051") as client:
        for item in client.recommend("3", limit=5, titles=True).items:
            print(item.item_id, item.score, item.title)
        client.recommend(session={"50": 2.0, "181": 1.0}, filter=[any_of("genres", "Drama", "War")])

The client is thin: generated stubs, several connections, a deadline for each call, and gRPC's own
retries. The retries follow `retry_policy.json`, a gRPC service config that clients in other languages
can use too. All names of this page can be imported from `retriever.client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self, Unpack

import lightfm_retriever.hosting.calling.needed  # noqa: F401 - else gRPC is missing without a hint

# isort: split
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting import addresses, given
from lightfm_retriever.hosting.addresses import AddressError
from lightfm_retriever.hosting.errors import ArgumentError, HostingError
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from retriever.asking import answers, errors
from retriever.asking.answers import (
    Answer,
    Contribution,
    EmptyFilterRange,
    Explanation,
    ScoredItem,
    UnknownFilterValue,
)
from retriever.asking.channel import MAX_RESPONSE_BYTES, Connections, open_channel, retry_policy
from retriever.asking.conditions import (
    Condition,
    RangeCondition,
    TextCondition,
    all_of,
    any_of,
    in_range,
    none_of,
)
from retriever.asking.errors import CallError, UnreachableError
from retriever.asking.requests import (
    Id,
    Items,
    RecommendOptions,
    RecommendRequest,
    SimilarItemsOptions,
    SimilarItemsRequest,
    UnknownIds,
    to_messages,
)

__all__ = [
    "DEFAULT_TIMEOUT_SECONDS", "AddressError", "Answer", "ArgumentError", "CallError",
    "ClientSecurity", "Condition", "Contribution", "EmptyFilterRange", "Explanation",
    "HostingError", "Id", "Items", "RangeCondition", "RecommendRequest", "RetrieverClient",
    "ScoredItem", "SimilarItemsRequest", "TextCondition", "UnknownFilterValue", "UnknownIds",
    "UnreachableError", "all_of", "any_of", "in_range", "none_of", "open_channel", "retry_policy",
]  # fmt: skip

DEFAULT_TIMEOUT_SECONDS = 5.0
_CONNECTIONS = "a whole number of 1 or more"
_RECOMMEND = sorted(RecommendOptions.__optional_keys__)
_SIMILAR_ITEMS = sorted(SimilarItemsOptions.__optional_keys__)


class RetrieverClient:
    """Ask one retriever. Threads may share a client. Create it after a fork, not before.

    Until a retriever has answered once, a call to an unreachable address fails within a second, with an
    UnreachableError that names the cause. Afterwards, calls wait for a service that is being replaced.

    Args:
        target: address of the retriever, "host:port".
        connections: number of connections. One worker answers all calls of a connection, so open at
            least as many as the service has workers.
        timeout_seconds: deadline of each call, including retries. A call can set its own.
        security: TLS and the credentials of the client.

    Raises:
        AddressError: `target` isn't "host:port".
        ArgumentError: another argument can't be used.
        HostingError: a certificate or token file can't be used.
    """

    @given.named()
    def __init__(
        self,
        target: str,
        *,
        connections: int = 2,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        security: ClientSecurity = PLAIN,
    ) -> None:
        addresses.parse(target)
        if (count := given.whole("connections", connections, _CONNECTIONS)) < 1:
            raise ArgumentError("connections", connections, _CONNECTIONS)
        given.one_of("security", security, ClientSecurity, "ClientSecurity(ca=..., token=...)")
        seconds = given.seconds("timeout_seconds", timeout_seconds)
        self._connections = Connections(target, count, seconds, security)

    @given.named(_SIMILAR_ITEMS)
    def similar_items(
        self,
        item_id: Id | None = None,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[SimilarItemsOptions],
    ) -> Answer:
        """Return the items most similar to one item or to several.

        `similar_items("50")`, `similar_items(items=["50", "181"])`.

        Args:
            item_id: external id of an item: text or a whole number.
            timeout_seconds: deadline of this call.
            options: the other fields of SimilarItemsRequest, such as `items` or `limit`.

        Returns:
            The answer, the most similar item first.

        Raises:
            CallError: the call failed. Its `code` is NOT_FOUND for an unknown item.
            ArgumentError: an argument has a wrong type or value.
        """
        request = SimilarItemsRequest(item_id, **options).to_message()
        return answers.answer(self._call("SimilarItems", request, timeout_seconds))

    @given.named(_RECOMMEND)
    def recommend(
        self,
        user_id: Id | None = None,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[RecommendOptions],
    ) -> Answer:
        """Recommend items to a user, for a session or for features of a user.

        `recommend("3")`, `recommend(session=["50", "181"])`, `recommend(features=["age:25-34"])`.

        Args:
            user_id: external id of a known user: text or a whole number.
            timeout_seconds: deadline of this call.
            options: the other fields of RecommendRequest, such as `session` or `limit`.

        Returns:
            The answer, the item with the highest score first.

        Raises:
            CallError: the call failed. Its `code` is NOT_FOUND for an unknown user.
            ArgumentError: an argument has a wrong type or value. It is a TypeError and a ValueError.
        """
        request = RecommendRequest(user_id, **options).to_message()
        return answers.answer(self._call("Recommend", request, timeout_seconds))

    @given.named(_SIMILAR_ITEMS)
    def similar_items_pages(
        self,
        item_id: Id | None = None,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[SimilarItemsOptions],
    ) -> Iterator[Answer]:
        """Return an iterator over pages of similar items; see recommend_pages."""
        request = SimilarItemsRequest(item_id, **options).to_message()
        return self._pages("SimilarItems", request, timeout_seconds)

    @given.named(_RECOMMEND)
    def recommend_pages(
        self,
        user_id: Id | None = None,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[RecommendOptions],
    ) -> Iterator[Answer]:
        """Return an iterator over pages of recommendations. No item occurs twice.

        The iterator requests a page only when it is needed. Pages end after 10000 results.

        Args:
            user_id: as in recommend.
            timeout_seconds: deadline of the call for each page.
            options: as in recommend. `limit` is the size of a page. With `page_token`, the pages begin
                after that token.

        Raises:
            CallError: raised during the iteration. Its `reason` is PAGE_EXPIRED when the service has
                switched to another version; start again at the first page.
            ArgumentError: an argument has a wrong type or value.
        """
        request = RecommendRequest(user_id, **options).to_message()
        return self._pages("Recommend", request, timeout_seconds)

    @given.named()
    def batch_similar_items(
        self,
        requests: Iterable[SimilarItemsRequest | pb.SimilarItemsRequest],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Answer | CallError]:
        """Answer many requests for similar items in one call; see batch_recommend."""
        made = to_messages(requests, SimilarItemsRequest)
        batch = pb.BatchSimilarItemsRequest(requests=made)
        return self._results("BatchSimilarItems", batch, timeout_seconds)

    @given.named()
    def batch_recommend(
        self,
        requests: Iterable[RecommendRequest | pb.RecommendRequest],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Answer | CallError]:
        """Answer many requests for recommendations in one call, which costs much less than many calls.

            client.batch_recommend([RecommendRequest("3"), RecommendRequest(session=["50"], limit=5)])

        Args:
            requests: 1 to 256 requests of at most 7 MiB. Their limits may add up to 10000 results.
            timeout_seconds: deadline of the call.

        Returns:
            For each request, its answer or its own error. All answers come from one version.

        Raises:
            CallError: the whole batch failed.
            ArgumentError: an argument has a wrong type or value.
        """
        made = to_messages(requests, RecommendRequest)
        batch = pb.BatchRecommendRequest(requests=made)
        return self._results("BatchRecommend", batch, timeout_seconds)

    @given.named()
    def status(self, *, timeout_seconds: float | None = None) -> pb.GetStatusResponse:
        """Return the state of the whole service, as one worker knows it. Raises CallError."""
        status: pb.GetStatusResponse = self._connections.call(
            "GetStatus", pb.GetStatusRequest(), timeout_seconds
        )
        return status

    @given.named()
    def is_serving(self, *, timeout_seconds: float | None = None) -> bool:
        """Return whether the worker that gets this health check serves a version. Raises CallError."""
        return self._connections.is_serving(timeout_seconds)

    @given.named()
    def wait_until_serving(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until a worker serves a version. Raises CallError when none does in time.

        If something other than a retriever answers, this raises an UnreachableError at once.
        """
        self._connections.wait_until_serving(timeout_seconds)

    def close(self) -> None:
        """Close the connections. Calls in flight are cancelled; later calls raise ArgumentError."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, request: Any, timeout_seconds: float | None) -> Any:
        if request.max_response_bytes == 0:
            request.max_response_bytes = MAX_RESPONSE_BYTES
        return self._connections.call(method, request, timeout_seconds)

    def _pages(self, method: str, request: Any, timeout_seconds: float | None) -> Iterator[Answer]:
        request.paginate = True
        while True:
            # Any worker can compute the next page from the token.
            page = answers.answer(self._call(method, request, timeout_seconds))
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _results(
        self, method: str, batch: Any, timeout_seconds: float | None
    ) -> list[Answer | CallError]:
        return [
            errors.of_entry(self._connections.target, result.error)
            if result.HasField("error")
            else answers.answer(result.response)
            for result in self._call(method, batch, timeout_seconds).results
        ]
