from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.event_log.log import Event, Removed, Selection
from trainer.service.event_messages import (
    event_of,
    removal_request,
    removal_response,
    removed_of,
    selection_of,
)

_ids = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=3)
# Exact on the wire and as a float.
_times = st.integers(-(10**10), 10**11).map(lambda eighths: eighths / 8)


@given(_ids.filter(bool), _ids, _ids, _times, st.none() | st.floats(-5, 5), st.booleans())
def test_a_selection_survives_its_message(events, users, items, time, weight, dry_run):
    selection = Selection(
        event_ids=tuple(events),
        user_ids=tuple(users),
        item_ids=tuple(items),
        happened_from=time,
        max_weight=weight,
    )
    sent = removal_request(selection, dry_run=dry_run).SerializeToString()
    received = pb.RemoveInteractionsRequest.FromString(sent)
    assert (selection_of(received), received.dry_run) == (selection, dry_run)


@given(_times, st.floats(-5, 5))
def test_what_was_removed_survives_its_message(time, weight):
    removed = Removed(
        events=3,
        users=2,
        items=1,
        oldest=time,
        newest=time + 1,
        min_weight=weight,
        max_weight=weight,
        examples=[Event("e", "u", "映画", "view", weight, time)],
        warnings=["a file isn't searched"],
    )
    for sent in (removed, Removed()):
        message = removal_response(sent).SerializeToString()
        assert removed_of(pb.RemoveInteractionsResponse.FromString(message)) == sent


def test_an_event_has_defaults_for_what_is_not_set():
    message = pb.InteractionEvent(event_id="e", user_id="u", item_id="i")
    assert event_of(message) == Event("e", "u", "i")
    message.weight = 0.0
    message.happened_at.FromMilliseconds(1500)
    assert event_of(message) == Event("e", "u", "i", weight=0.0, timestamp=1.5)


@pytest.mark.parametrize("time", [3e11, -1e14, 1e300, float("inf"), float("nan")])
def test_a_time_of_an_old_log_that_no_message_holds_is_sent_as_the_nearest_that_one_does(time):
    removed = Removed(events=1, users=1, items=1, oldest=time, newest=time, min_weight=1, max_weight=1)
    message = pb.RemoveInteractionsResponse.FromString(removal_response(removed).SerializeToString())
    assert message.oldest.ToDatetime().year in (1, 9999)
