"""Files of public datasets are read as they are, and the printed command reads them so."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from tests import public_files
from tests.public_files import FIRST, SHAPES
from trainer.cli import spec_arguments
from trainer.cli.arguments import parse
from trainer.data.files.file_form import FileForm
from trainer.errors import InputError, OptionError
from trainer.inspection.inspect import Inspector
from trainer.reading import read_source

NOW = FIRST + 400 * 86_400.0


def inspect(*paths, form=None, now=NOW, **named):
    inspector = Inspector(form or FileForm(), now=now)
    for kind, path in named.items():
        inspector.add(path, kind)
    for path in paths:
        inspector.add(path)
    return inspector.result()


def read(result, skipped=None):
    """What the printed command reads."""
    spec = spec_arguments.training_spec(parse(shlex.split(result.command)[1:]))
    return read_source(spec.data, data_dir=Path(), event_log=None, now=NOW, skipped_file=skipped)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_printed_command_reads_all_files_of_a_dataset(tmp_path, shape):
    shape.write(tmp_path)
    paths = [tmp_path / name for name in shape.files]
    result = inspect(*paths)
    kinds = ["interactions", "items", "users"][: len(paths)]
    assert [facts.kind for facts in result.files] == kinds
    flags = " ".join(f"--{kind} {path}" for kind, path in zip(kinds, paths, strict=True))
    given = f" {shape.flags}" if shape.flags else ""
    assert result.command == f"lightfm-trainer train {flags}{given} --volume volume"
    facts = result.files[0].interactions
    source = read(result, tmp_path / "skipped.csv")
    found = source.interactions
    assert facts.rows == len(found) + shape.invalid
    assert facts.invalid_rows == shape.invalid
    assert (facts.users, facts.items) == (24, 16)
    assert (len(found.user_ids), len(found.item_ids)) == (24, 16)
    assert {shape.user_id} <= {*found.user_ids}
    assert {shape.item_id} <= {*found.item_ids}
    assert found.has_weights == shape.weighs == (facts.weights is not None)
    assert (found.timestamps is not None) == shape.dates == (facts.first is not None)
    if shape.dates and not shape.invalid:
        assert np.isclose(found.timestamps, [own[3] for own in public_files.rows()], atol=1).all()
    if shape.titles:
        titles = dict(zip(source.items.ids, source.items.titles, strict=True))
        assert shape.titles.items() <= titles.items()
        assert result.files[1].table.matching == len(titles) == 16


def test_negative_quantities_are_no_positives_and_rows_without_a_customer_are_written(tmp_path):
    shape = SHAPES["online retail"]
    shape.write(tmp_path)
    skipped = tmp_path / "skipped.csv"
    result = inspect(tmp_path / shape.files[0])
    found = read(result, skipped).interactions
    facts = result.files[0].interactions
    assert facts.not_positive == np.count_nonzero(found.weights <= 0) > 0
    lines = skipped.read_text().splitlines()
    assert len(lines) == 1 + shape.invalid
    assert lines[0] == '"row","reason","text"'
    assert lines[1].startswith('1,"user_id (CustomerID) is empty",",')
    [warning] = [own for own in found.warnings if "left out" in own]
    assert f"left out {shape.invalid} of {facts.rows} rows of online_retail.csv" in warning
    assert str(skipped) in warning


def test_a_day_and_a_month_that_fit_both_ways_are_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,date\nu,a,3/2/2010\nv,a,1/5/2010\nu,b,2/4/2010\n")
    result = inspect(path)
    [facts] = result.files
    assert "--date-format d/m/Y" in result.command
    assert any("'d/m/Y'; the other is --date-format 'm/d/Y'" in hint for hint in facts.hints)
    told = inspect(path, form=FileForm(date_format="m/d/Y"))
    assert "--date-format m/d/Y" in told.command
    assert told.files[0].interactions.last == "2010-03-02T00:00:00Z"


def test_without_interactions_the_command_names_none(tmp_path):
    SHAPES["MovieLens 20M"].write(tmp_path)
    result = inspect(tmp_path / "movies.csv")
    assert not result.complete
    assert result.command.startswith("lightfm-trainer train --interactions INTERACTIONS --items ")
    assert result.files[0].hints == [
        "further columns: genres; --item-features or --item-attributes uses them"
    ]


def test_the_kind_can_be_named_and_each_kind_has_one_file(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("id,name\n1,one\n2,two\n")
    assert inspect(path).files[0].kind == "items"
    assert inspect(users=path).files[0].kind == "users"
    with pytest.raises(OptionError, match=r"^--items is .*, but should be the only file of items"):
        inspect(path, items=path)


def test_an_option_about_another_file_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id\nu,1\n")
    with pytest.raises(
        OptionError, match="--item-separator is ';', but should be used with a file of items"
    ):
        inspect(path, form=FileForm(item_separator=";"))


def test_suspicious_ids_are_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id\nann,1\nnull,2\nAnn,1\n")
    [facts] = inspect(path).files
    assert any("'null' in 1 row look like markers of a missing id" in own for own in facts.warnings)
    assert any("upper and lower case" in own for own in facts.warnings)


def test_suspicious_ids_and_values_of_items_are_said(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,genre\na,Drama\nA,drama\nb,Drama\nc,drama\n")
    [facts] = inspect(path).files
    assert any("item ids 'a'" in own and "upper and lower case" in own for own in facts.warnings)
    assert any("column genre of items.csv differ only in case" in own for own in facts.warnings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "column user_id, item_id is missing; the columns are: a, b"),
        (b"user,track_id,artist_id\nu,a,b\n", "track_id and artist_id may be the item_id: name one by"),
        (b"user_id,item_id\n", "there is no row after the header"),
        (b"PK\x03\x04\0\0", "is neither CSV nor Parquet: it holds binary data: it is a zip archive"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        inspect(path)
