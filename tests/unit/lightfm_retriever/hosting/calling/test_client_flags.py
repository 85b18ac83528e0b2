"""What the flags of a client say, and what a service says of them."""

import pytest

from lightfm_retriever.hosting.calling import client_flags

NAMES = {"users": "--users", "epochs": "--epochs", "low_end": "--from", "high_end": "--to", "id": "ID"}


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ("spec.data.users: is 'x', but should be a file", "--users is 'x', but should be a file"),
        ("epochs: can't be 0", "--epochs can't be 0"),
        ("users[3].name: 'x' isn't known: y", "--users: 'x' isn't known: y"),
        ("low_end: is 5, but should be below high_end", "--from is 5, but should be below --to"),
        ("id: has 600 bytes", "ID has 600 bytes"),
        # No flag sets it.
        ("events[3].weight: is 5", "events[3].weight: is 5"),
        ("nothing is there", "nothing is there"),
    ],
)
def test_a_refusal_names_the_flag_of_the_field(details, said):
    assert client_flags.refusal(details, NAMES) == said
