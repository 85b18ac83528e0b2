"""The words of answers are the protocol's."""

from __future__ import annotations

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.answer_words import SearchMethod, ShortReason, Source


@pytest.mark.parametrize(
    ("words", "enum", "prefix"),
    [
        (Source, pb.Source, "SOURCE_"),
        (SearchMethod, pb.SearchMethod, "SEARCH_METHOD_"),
        (ShortReason, pb.ShortReason, "SHORT_REASON_"),
    ],
)
def test_each_word_has_a_number_and_each_number_a_word(words, enum, prefix):
    assert sorted(f"{prefix}{word.name}" for word in words) == sorted(
        name for name, number in enum.items() if number
    )
