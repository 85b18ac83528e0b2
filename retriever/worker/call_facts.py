"""What logs and traces tell of a response."""

from __future__ import annotations

from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.observing.spans import Attributes


def call_facts(response: Any) -> Attributes:
    """Which version a response is from and how many results it has; of an answer, how it was found."""
    if isinstance(response, pb.RecommendResponse | pb.SimilarItemsResponse):
        return {
            "version": response.version,
            "results": len(response.items),
            "source": pb.Source.Name(response.source).removeprefix("SOURCE_"),
            "exact": response.method == pb.SEARCH_METHOD_EXACT,
            "candidates": response.candidates,
        }
    if isinstance(response, pb.BatchRecommendResponse | pb.BatchSimilarItemsResponse):
        return {"version": response.version, "results": len(response.results)}
    return {}
