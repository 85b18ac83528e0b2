import argparse
import math
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytest

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings import layers, option_flags
from lightfm_retriever.hosting.settings.parser import Parser

NAN = math.nan


def test_what_is_out_of_range_is_told_what_it_should_be():
    for option, right, wrong, expected in (
        (Option(ge=1, le=10_000), [1, 10_000], [0, 10_001, NAN], "in 1..10000"),
        (Option(ge=0, le=2**31 - 1), [0, 2**31 - 1], [-1, 2**31], "in 0..2^31-1"),
        (Option(gt=0, lt=1), [0.5], [0, 1, NAN], "above 0 and below 1"),
        (Option(ge=0, lt=1), [0, 0.99], [-0.1, 1, NAN], "from 0 to below 1"),
        (Option(ge=0, lt=math.inf), [0, 1e300], [-1, math.inf, NAN], "at least 0"),
        (Option(ge=1), [1, 10**9], [0], "at least 1"),
        (Option(choices=["a", "b"]), ["a", "b"], ["c"], "one of a, b"),
        (Option(choices=["a"], expected="what it is"), ["a"], ["c"], "what it is"),
        (Option(offered=["a"]), ["a", "c"], [], None),
    ):
        assert [option.problem(value) for value in right] == [None] * len(right)
        assert [option.problem(value) for value in wrong] == [expected] * len(wrong)


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: Annotated[float, Option("a share", ge=0, le=1, flag="inner_share")] = 0.5


@dataclass(frozen=True, kw_only=True)
class Spec:
    size: Annotated[int, Option("how many", ge=1, le=5)]
    step: Annotated[int, Option("of those", ge=1, le="size")] = 1
    name: Annotated[str | None, Option("a name", choices=("a", "b"), group="other")] = None
    kind: Annotated[Literal["x", "y"], Option("a kind", choices=("x", "y"))] = "x"
    is_on: Annotated[bool, Option("whether")] = False
    folder: Annotated[Path | None, Option("where", metavar="DIR")] = None
    names: Annotated[list[str], Option("some")] = field(default_factory=list)
    roots: Annotated[tuple[Path, ...], Option("several", repeated=True)] = ()
    ends: Annotated[tuple[float, float], Option("both", metavar=("LOW", "HIGH"))] = (0.5, 1.0)
    age: Annotated[timedelta, Option("how old")] = timedelta(hours=2)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        options.check(self, LookupError)


def parse(*arguments):
    parser = Parser()
    option_flags.add(parser, Spec, Inner, switches_last=True)
    option_flags.add(parser, Spec, group="other")
    return parser, parser.parse_args(arguments)


def test_the_first_field_out_of_range_is_refused_by_its_flag():
    assert Spec(size=5, step=5).name is None
    for given, refusal in (
        ({"size": 6}, ("--size", 6, "in 1..5")),
        ({"size": 3, "step": 4}, ("--step", 4, "in 1..3")),
        ({"size": 3, "kind": None}, ("--kind", None, "one of x, y")),
        ({"size": 0, "name": "c"}, ("--size", 0, "in 1..5")),
    ):
        with pytest.raises(LookupError) as caught:
            Spec(**given)
        assert caught.value.args == refusal


def test_flags_are_made_of_the_fields_and_make_them_again():
    parser, given = parse("--size=3")
    age = timedelta(hours=2)
    assert given.age == "2h"
    assert option_flags.made(Spec, vars(given), age=age) == Spec(size=3)
    _, given = parse(
        *("--size=4", "--step=2", "--name=b", "--kind=y", "--is-on", "--folder=f", "--names=p, ,q"),
        *("--roots=r", "--roots=s", "--ends", "2", "3", "--inner-share=0.25"),
    )
    made = option_flags.made(Spec, vars(given), age=age)
    assert (made.size, made.step, made.name, made.kind, made.is_on) == (4, 2, "b", "y", True)
    assert (made.folder, made.names, made.roots) == (Path("f"), ["p", "q"], (Path("r"), Path("s")))
    assert (made.ends, made.inner) == ((2.0, 3.0), Inner(share=0.25))
    flags = [action.option_strings[-1] for action in layers.actions(parser)]
    assert flags[:2] == ["--size", "--step"]
    # A switch, and then the other group.
    assert flags[-2:] == ["--is-on", "--name"]
    shown = " ".join(parser.format_help().split())
    for part in ("how many", "--folder DIR where --names", "--ends LOW HIGH both (default: 0.5 1.0)"):
        assert part in shown


def test_a_flag_that_leaves_nothing_tells_its_default():
    parser = argparse.ArgumentParser()
    option_flags.add(parser, Inner, only_given=True)
    assert vars(parser.parse_args([])) == {}
    assert "a share (default: 0.5)" in parser.format_help()
