import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import OptionError
from trainer.tracking.export import check_path, csv_of, write

ROWS = [
    {"version": "b", "params": {"epochs": 2}, "metrics": {"auc": 0.5}},
    {"version": "a", "params": {"epochs": 3, "loss": "warp"}, "metrics": {}, "problem": 'x, "y"\nz'},
]


def test_csv_has_a_row_for_each_run_and_a_column_for_each_value(tmp_path):
    write(ROWS, tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == (
        'version,problem,params.epochs,params.loss,metrics.auc\nb,,2,,0.5\na,"x, ""y""\nz",3,warp,\n'
    )


def test_json_has_the_rows_as_they_are(tmp_path):
    write(ROWS, tmp_path / "runs.JSON")
    assert json.loads((tmp_path / "runs.JSON").read_text()) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["runs.JSON"]


def test_no_runs_are_an_empty_table(tmp_path):
    write([], tmp_path / "runs.csv")
    write([], tmp_path / "runs.json")
    assert (tmp_path / "runs.csv").read_text() == "\n"
    assert json.loads((tmp_path / "runs.json").read_text()) == []


@pytest.mark.parametrize("name", ["runs", "runs.txt", "runs.csv.gz"])
def test_another_ending_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match=r"--export .* should be a file that ends in \.csv or \.json"):
        check_path(tmp_path / name)


def test_a_file_that_cannot_be_written_is_an_error_and_the_earlier_one_stays(tmp_path):
    with pytest.raises(OptionError, match="should be a file in a folder that is there"):
        check_path(tmp_path / "none" / "runs.csv")
    (tmp_path / "runs.csv").mkdir()
    with pytest.raises(OptionError, match="should be a file that can be written"):
        write(ROWS, tmp_path / "runs.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=9)
_names = st.text("abc", min_size=1)


@given(st.lists(st.dictionaries(_names, _texts | st.integers(), min_size=1, max_size=4), min_size=1))
def test_csv_can_be_read_back(rows):
    read = list(csv.DictReader(io.StringIO(csv_of(rows), newline="")))
    wanted = [{name: str(value) for name, value in row.items()} for row in rows]
    filled = [{name: value for name, value in row.items() if value} for row in read]
    assert filled == [{name: value for name, value in row.items() if value} for row in wanted]
