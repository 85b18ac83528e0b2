"""A client of a retriever that doesn't notice when a worker dies or the service is replaced.

    with RetrieverClient("127.0.0.1:50051") as client:
        for item in client.recommend("3", limit=5, titles=True).items:
            print(item.item_id, item.score, item.title)
        client.recommend(session={"50": 2.0, "181": 1.0}, filter=[any_of("genres", "Drama", "War")])

It is thin: generated stubs, several connections, a deadline for each call, and gRPC's own retries by
`retry_policy.json`, a gRPC service config that clients in other languages can use as it is. What may
be asked is in `asking.requests`, what is answered in `asking.answers`; all can be imported from here.
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
    """Asks one retriever. Threads may share it; make it after a fork, not before.

    Until a retriever has answered once, a call fails within a second where none can be reached, by an
    UnreachableError that says why. Afterwards calls wait for one that is being replaced.

    Args:
        target: "host:port"; AddressError for what is none.
        connections: how many to open. One connection is always answered by one worker, so use at
            least as many as the service has workers.
        timeout_seconds: of each call, retries included, unless the call gives another.
        security: TLS and what the client shows; HostingError for files that can't be used.
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
        """The items most like one, or like several: `similar_items(items=["50", "181"])`.

        SimilarItemsRequest says what the options are; all else is as with recommend.
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
        """The items that suit a user best, or a session, or features.

        `recommend("3")`, `recommend(session=["50", "181"])`, `recommend(features=["age:25-34"])`.

        Args:
            user_id: external id of a known user: text, or a whole number.
            timeout_seconds: of this call.
            options: the other fields of RecommendRequest, which says what they are.

        Raises:
            CallError: see its code; NOT_FOUND for an unknown user.
            ArgumentError: what couldn't be sent as it is meant; it is a TypeError and a ValueError.
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
        """As similar_items, page after page of `limit` results, to the end; see recommend_pages."""
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
        """As recommend, page after page of `limit` results, to the end. Nothing comes twice.

        A page is asked for when it is wanted, in `timeout_seconds`. The service ends after 10000
        results; pages begin after the option `page_token`.

        Raises:
            CallError: while pages are taken. Its reason is PAGE_EXPIRED when the service has moved on
                to another version, in which other results are the next ones: start anew.
            ArgumentError: what couldn't be sent as it is meant; it is a TypeError and a ValueError.
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
        """As similar_items for each request, in one call; see batch_recommend."""
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
        """As recommend for each request, in one call, which costs much less; from one version.

            client.batch_recommend([RecommendRequest("3"), RecommendRequest(session=["50"], limit=5)])

        Args:
            requests: 1 to 256, of at most 10000 results altogether by their limits, and 7 MiB.
            timeout_seconds: of the call.

        Returns:
            For each request its answer, or the error that it alone failed with.

        Raises:
            CallError: all failed together.
            ArgumentError: what couldn't be sent as it is meant.
        """
        made = to_messages(requests, RecommendRequest)
        batch = pb.BatchRecommendRequest(requests=made)
        return self._results("BatchRecommend", batch, timeout_seconds)

    @given.named()
    def status(self, *, timeout_seconds: float | None = None) -> pb.GetStatusResponse:
        """The state of the whole service, as any worker knows it. Raises CallError."""
        status: pb.GetStatusResponse = self._connections.call(
            "GetStatus", pb.GetStatusRequest(), timeout_seconds
        )
        return status

    @given.named()
    def is_serving(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the worker that gets this check serves a publication. Raises CallError."""
        return self._connections.is_serving(timeout_seconds)

    @given.named()
    def wait_until_serving(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until a worker serves a publication. Raises CallError when none does in time.

        What is there and is no retriever is not waited for: an UnreachableError says what it is.
        """
        self._connections.wait_until_serving(timeout_seconds)

    def close(self) -> None:
        """Close the connections; calls in flight are cancelled, and later ones are ArgumentErrors."""
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
            # Any worker knows what comes next.
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
