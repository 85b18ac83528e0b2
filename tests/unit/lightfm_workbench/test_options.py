from dataclasses import dataclass, field
from typing import Annotated

import pytest

from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.options import Option
from lightfm_workbench.options import checked, known
from trainer.errors import OptionError
from trainer.spec import TrainingSpec


@dataclass
class Given:
    epochs: Annotated[int | None, Option("passes", ge=1)] = None
    rate: Annotated[float, Option("rate")] = 0.5
    weighs: Annotated[bool, Option("weights")] = False
    names: Annotated[list[str], Option("names")] = field(default_factory=list)
    by_event: Annotated[dict[str, float], Option("weights by event")] = field(default_factory=dict)
    backend: Annotated[str, Option("kind", group="index")] = "annoy"


OPTIONS = known(Given)


def test_values_of_the_declared_types_pass():
    given = {"epochs": 3, "rate": 1, "weighs": True, "names": ("a", "b"), "by_event": {"view": 1}}
    made = checked(given, OPTIONS)
    assert made == {**given, "rate": 1.0, "names": ["a", "b"], "by_event": {"view": 1.0}}
    assert checked({"names": "a", "epochs": None}, OPTIONS) == {"names": ["a"]}
    assert [*known(Given, groups=("index",))] == ["backend"]


def test_a_text_is_read_as_on_the_command_line():
    own = known(TrainingSpec)
    assert checked({"budget": "2m"}, own) == {"budget": 120.0}
    assert checked({"budget": 30}, own) == {"budget": 30.0}
    assert checked({"set": {"l2": 500}}, own) == {"set": {"l2": "500"}}
    with pytest.raises(OptionError, match="budget is 'soon', but should be"):
        checked({"budget": "soon"}, own)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"epoch": 3}, "there is no option epoch; did you mean epochs?"),
        ({"zzz": 3}, "there is no option zzz; the options are backend, by_event"),
        ({"epochs": "3"}, "epochs is the text '3', but should be at least 1"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"weighs": "yes"}, "weighs is the text 'yes', but should be True or False"),
        ({"names": 3}, "names is 3"),
        ({"names": [3]}, r"names\[0\] is 3"),
        ({"by_event": ["view"]}, "by_event is a list, but should be a mapping"),
        ({"by_event": {"view": "1"}}, r"by_event\['view'\] is the text '1', but should be a number"),
        ({"backend": 3}, "backend is 3"),
    ],
)
def test_a_wrong_name_or_type_is_named(given, error):
    with pytest.raises(ArgumentError, match=error):
        checked(given, OPTIONS)
