import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.id_forms import explain

IDS = ["3", "10", "007", "1042"]


def explained(before, now, **options):
    return explain(before, now, set(now), **options)[0]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (IDS, [f"{own}.0" for own in IDS], "'3' before is '3.0' now: whole numbers became decimals"),
        (["3.0", "10.0"], ["3", "10"], "'3.0' before is '3' now: decimals became whole numbers"),
        (["007", "010", "0"], ["7", "10", "0"], "'007' before is '7' now: leading zeros are lost"),
        (["7", "10", "99"], ["007", "010", "99"], "'7' before is '007' now: leading zeros were added"),
        ([" a", "b "], ["a", "b"], "' a' before is 'a' now: white space around them is gone"),
        (['"a"', '"b"'], ["a", "b"], "'\"a\"' before is 'a' now: quotes around them are gone"),
        (["Ab", "Cd"], ["ab", "cd"], "'Ab' before is 'ab' now: they are in lower case"),
        (["é", "ü"], ["e\N{COMBINING ACUTE ACCENT}", "u\N{COMBINING DIAERESIS}"], "decomposed (NFD)"),
        (IDS, [f"user-{own}" for own in IDS], "'3' before is 'user-3' now: prefix 'user-' was added"),
        ([f"u{own}" for own in IDS], IDS, "'u3' before is '3' now: prefix 'u' is gone"),
        (IDS, [f"{own}@shop" for own in IDS], "suffix '@shop' was added"),
        ([f"{own}@shop" for own in IDS], IDS, "suffix '@shop' is gone"),
        # What all ids begin with anyway is no part of it.
        (["11", "12"], ["x-11", "x-12"], "prefix 'x-' was added"),
        # Some that fit by chance are no form.
        ([*map(str, range(90, 99))], ["90.0", "900"], "for example '90' before and '90.0' now"),
    ],
)
def test_how_ids_changed_is_told_with_an_example(before, now, said):
    assert said in explained(before, now)
    names = explained(before, now, where=("in items.csv", "in log.csv"))
    assert said.replace("before", "in items.csv").replace("now", "in log.csv") in names


TEXTS = st.lists(st.text(min_size=1, max_size=12), max_size=8)


@given(TEXTS, TEXTS)
def test_any_ids_can_be_compared_and_an_example_is_one_of_each(before, now):
    said = explained(before, now)
    assert bool(said) == bool(before and now)
    if said:
        assert any(repr(own) in said for own in before)
        assert any(repr(own) in said for own in now)


FORMS = {"{}.0": "decimals", "user-{}": "prefix", "{}:x": "suffix", " {}": "prefix"}


@given(st.sets(st.integers(1, 10**9).map(str), min_size=2, max_size=30), st.sampled_from([*FORMS]))
def test_a_form_of_all_ids_is_found_whatever_the_ids(ids, form):
    assert FORMS[form] in explained(sorted(ids), [form.format(own) for own in sorted(ids)])
