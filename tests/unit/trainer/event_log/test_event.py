import math

import pytest

from trainer.event_log.errors import InvalidEventError
from trainer.event_log.event import Event, checked_rows

NOW = 1_767_225_600.0
GOOD = Event("e", "u", "i")


def test_a_row_has_the_values_in_order_and_the_clocks_time_where_there_is_none():
    whole = ("1", "u", "東京", "buy", -2.5, NOW - 1)
    batch = [Event(*whole), GOOD, Event("e", "u", "i", timestamp=0.0)]
    assert checked_rows(batch, now=NOW) == [whole, *[("e", "u", "i", "", 1.0, NOW)] * 2]


def test_what_is_just_within_the_limits_is_taken():
    ascii_ids = Event("e" * 128, "u" * 512, "i" * 512, "t" * 64, 1e9, NOW + 86_400)
    other_ids = Event("é" * 64, "u", "i", "é" * 32, -1e9, 31_536_000.0)
    assert len(checked_rows([ascii_ids, other_ids], now=NOW)) == 2


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        (Event("e" * 129, "u", "i"), "event_id", "at most 128 bytes"),
        (Event("é" * 65, "u", "i"), "event_id", "at most 128 bytes"),
        (Event("\ud800", "u", "i"), "event_id", "should be Unicode"),
        (Event("e", "", "i"), "user_id", "is empty"),
        (Event("e", "u", "i" * 513), "item_id", "513 bytes"),
        (Event("e", "u", "i", "t" * 65), "event", "at most 64 bytes"),
        (Event("e", "u", "i", "\udfff"), "event", "should be Unicode"),
        (Event("e", "u", "i", weight=math.nan), "weight", "is nan"),
        (Event("e", "u", "i", weight=-1e9 - 1), "weight", "is -1000000001.0, but should .* 1e\\+09"),
        (Event("e", "u", "i", timestamp=math.nan), "timestamp", "is nan"),
        (Event("e", "u", "i", timestamp=46_037.0), "timestamp", "is 46037.0, .* of 1971 or later"),
        (Event("e", "u", "i", timestamp=NOW + 86_401), "timestamp", "at most a day ahead"),
        (Event("e", "u", "i", timestamp=NOW * 1000), "timestamp", "are these milliseconds"),
    ],
)
def test_what_is_not_valid_is_named_with_its_position_and_field(event, field, reason):
    with pytest.raises(InvalidEventError, match=rf"^events\[2\]\.{field}: .*{reason}") as caught:
        checked_rows([GOOD, GOOD, event, GOOD], now=NOW)
    assert (caught.value.position, caught.value.field) == (2, field)
