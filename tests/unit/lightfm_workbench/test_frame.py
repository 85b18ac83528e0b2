import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lightfm_workbench.frame import Frame

ROWS = {"user_id": ["a", "b"], "score": [0.5, None], "genres": [["x", "<y>"], []]}


@pytest.fixture
def frame():
    return Frame(pa.table(ROWS))


def test_a_frame_goes_out_to_all_libraries(frame):
    assert frame.to_arrow().to_pydict() == ROWS
    assert frame.to_polars().to_dict(as_series=False) == ROWS
    assert pl.DataFrame(frame).to_dict(as_series=False) == ROWS
    assert pa.table(frame).to_pydict() == ROWS
    made = frame.to_pandas()
    assert isinstance(made, pd.DataFrame)
    assert made["user_id"].tolist() == ["a", "b"]
    assert made["genres"].map(list).tolist() == ROWS["genres"]


def test_a_frame_can_be_read_without_a_library(frame):
    assert frame.columns == ["user_id", "score", "genres"]
    assert len(frame) == 2
    assert frame["user_id"] == ["a", "b"]
    assert frame.rows()[1] == {"user_id": "b", "score": None, "genres": []}
    with pytest.raises(
        KeyError, match="'users' isn't a column; the columns are user_id, score, genres"
    ):
        frame["users"]


def test_a_frame_is_shown_as_a_table(frame):
    assert repr(frame) == "user_id  score  genres\na        0.5    x, <y>\nb"
    assert "<td>x, &lt;y&gt;</td>" in frame._repr_html_()
    wide = Frame(pa.table({f"c{place}": [*range(12)] for place in range(13)}))
    assert repr(wide).splitlines()[-2:] == ["... 2 more rows", "... 3 more columns"]
    assert "c9" in repr(wide)
    assert "c10" not in repr(wide)


def test_rows_become_columns_of_the_given_types():
    types = {"user_id": pa.string(), "rank": pa.int32()}
    made = Frame.of_rows([{"user_id": "a", "rank": 1}, {"user_id": "b"}], types)
    assert made.to_arrow().schema.types == [*types.values()]
    assert made["rank"] == [1, None]
    assert Frame.of_rows([], types).columns == ["user_id", "rank"]
