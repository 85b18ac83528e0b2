"""The words of answers are the protocol's."""

from __future__ import annotations

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.answer_words import SearchMethod, ShortReason, Source

WORDS = [(Source, pb.Source), (SearchMethod, pb.SearchMethod), (ShortReason, pb.ShortReason)]


@pytest.mark.parametrize(("words", "enum"), WORDS)
def test_each_word_has_a_number_and_each_number_a_word(words, enum):
    unspecified, *names = enum.keys()
    prefix = unspecified.removesuffix("UNSPECIFIED")
    assert sorted(f"{prefix}{word.name}" for word in words) == sorted(names)
