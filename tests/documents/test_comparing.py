import pytest

from tests.documents.comparing import matched, said

SAME = [
    ("943 users, precision 0.2569, 12 ms", "943 users, precision 0.2571, 99 ms"),
    ("published 20261130T164357Z-381fcb", "published 20270101T000000Z-aaaaaa"),
    ("5  Star Wars (1977)", "5   Star Wars (1977)"),
]
DIFFERENT = [
    ("1,682 items", "1,680 items"),
    ("precision 0.2542", "precision 0.4542"),
    ("Star Wars", "Star Trek"),
    ("0.2023  332", "0.2023  999"),
    ("0.2023  332", "0.1123  332"),
    ("524 candidates, 19 filtered", "111 candidates, 19 filtered"),
    ("a b", "a"),
]


@pytest.mark.parametrize(("recorded", "fresh"), SAME)
def test_what_differs_on_every_run_is_the_same(recorded, fresh):
    assert matched([recorded], [fresh]) == [fresh]


@pytest.mark.parametrize(("recorded", "fresh"), DIFFERENT)
def test_other_words_counts_and_scores_are_not(recorded, fresh):
    assert matched([recorded], [fresh]) is None


def test_dots_stand_for_lines_and_for_the_end_of_one():
    fresh = ["one", "two", "three and more", "four"]
    assert matched(["...", "two", "..."], fresh) == ["...", "two", "..."]
    assert matched(["one", "...", "four"], fresh) == ["one", "...", "four"]
    assert matched(["one", "two", "three ...", "four"], fresh) is not None
    assert matched(["two", "..."], fresh) is None
    assert matched(["one"], fresh) is None


def test_columns_below_a_measured_heading_differ_on_every_run():
    recorded = ["item  recall@10  µs", "50    0.9912     37"]
    assert matched(recorded, ["item  recall@10  µs", "50    0.9915     99"]) is not None
    assert matched(recorded, ["item  recall@10  µs", "50    0.5915     99"]) is None


def test_progress_bars_are_not_said():
    assert said("Training ━━━━ 20/20 0:00:02\nnote\n\n") == ["note"]
