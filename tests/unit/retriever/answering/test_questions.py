"""What may be asked, and what is refused by name before any snapshot is looked at."""

from __future__ import annotations

import math

import pytest

from retriever.answering.pages import Page
from retriever.answering.questions import Options, Search, UserFeatures, WeightedItems
from retriever.errors import InvalidArgumentError

RANGE = "but should be in 0.1..100"


def excluding(*item_ids):
    return lambda: Options(exclude_item_ids=item_ids)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        *((lambda own=own: Options(limit=own), None) for own in (1, 1000)),
        *(
            (lambda own=own: Options(limit=own), f"limit: is {own}, but should be in 1..1000")
            for own in (0, -1, 1001, 2**31 - 1)
        ),
        *((lambda own=own: Search(effort=own), None) for own in (0.1, 1, 100)),
        # Named though it is of no effect.
        *(
            (lambda own=own: Search(own, exact=True), f"search_effort: is {own:g}, {RANGE}")
            for own in (0.0, -1.0, 0.09999, 100.001, math.nan, math.inf)
        ),
        (excluding(*["x"] * 10_000), None),
        (excluding(*["x"] * 10_001), "exclude_item_ids: has 10001 entries, but should have at m"),
        (excluding("x", ""), "exclude_item_ids[1]: is empty"),
        (excluding("é" * 256), None),
        (excluding("é" * 256 + "x"), "exclude_item_ids[0]: has 513 bytes"),
        *((lambda share=share: Options(diversity=share), None) for share in (0.0, 1.0)),
        (lambda: Options(diversity=1.01), "diversity: is 1.01, but should be in 0..1"),
        (lambda: Options(diversity=-0.01), "diversity: is -0.01, but should be in 0..1"),
        (lambda: Options(diversity=math.nan), "diversity: is nan, but should be in 0..1"),
        (lambda: Options(diversity=0.1, page=Page(b"x")), "diversity: can't be combined with pages"),
        (lambda: Options(page=Page(b"x")), None),
        (lambda: WeightedItems(["x"] * 1000, [0] * 999 + [1]), None),
        (lambda: WeightedItems(["x"] * 1001), "session.item_ids: has 1001 entries, but should have 1"),
        (lambda: WeightedItems([], field="items"), "items.item_ids: has 0 entries, but should have 1"),
        (lambda: WeightedItems(["x", ""]), "session.item_ids[1]: is empty"),
        (lambda: WeightedItems(["x"], [1, 2]), "session.weights: has 2 entries, but there are 1 "),
        (lambda: WeightedItems(["x"], [0]), "session.weights: are all 0, but at least one should be"),
        *(
            (lambda one=one: WeightedItems(["x", "y"], [1, one]), f"session.weights[1]: is {one:g}")
            for one in (-1.0, math.inf, math.nan)
        ),
        (lambda: UserFeatures(["x"] * 100), None),
        (lambda: UserFeatures(["x"] * 101), "features.features: has 101 entries, but should have 1 "),
        (lambda: UserFeatures([]), "features.features: has 0 entries, but should have 1 to 100"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named_and_the_ends_are_in_it(make, said):
    if said is None:
        make()
        return
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    assert str(caught.value).startswith(said)
