"""What the flags of a client say, and what a service says of them."""

import argparse

import pytest

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.settings import layers


def help_of(**prefix):
    parser = argparse.ArgumentParser(add_help=False)
    client_flags.add(parser, timeout_seconds=None, **prefix)
    return parser, [str(action.help) for action in layers.actions(parser)]


def test_the_help_names_the_variable_that_sets_a_flag():
    parser, told = help_of(prefix="OWN_")
    client_flags.add_target(parser, "a:1", "OWN_")
    variables = [text.partition("(or set ")[2].rstrip(")") for text in told]
    assert variables[0] == "OWN_CLIENT_CA"
    paths = dict.fromkeys(variables, "x")
    layers.apply(parser, [], {**paths, "OWN_LISTEN": "b:2"}, prefix="OWN_")
    options = parser.parse_args([])
    assert {*options.origins.values()} == {*variables, "OWN_LISTEN"}
    assert "(or set OWN_LISTEN; default: b:2)" in " ".join(parser.format_help().split())
    # A program without variables names none.
    assert "or set" not in "".join(help_of()[1])


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
