import math

import pytest

import grokinterp as gi
from grokinterp.runs.rundir import RunDir
from grokinterp.tables import check_rows, read_rows, read_table, write_table

COLUMNS = {
    "step": gi.Column("step", kind="int", low=0),
    "share": gi.Column("a share", low=0, high=1),
    "name": gi.Column("a name", kind="str", null=True),
    "good": gi.Column("a truth", kind="bool"),
}
ROW = {"step": 3, "share": 0.25, "name": None, "good": True}


def test_rows_come_back_with_their_types_and_nulls(tmp_path):
    rows = [ROW, {"step": 4, "share": 1 / 3, "name": "x", "good": False}]
    write_table(RunDir(tmp_path), "m", "part", COLUMNS, rows)
    assert read_rows(RunDir(tmp_path), "m", "part") == rows
    table = read_table(RunDir(tmp_path), "m", "part")
    assert list(table.columns) == list(COLUMNS)
    assert table["name"].isna().tolist() == [True, False]


def test_an_empty_table_keeps_its_columns_and_is_not_a_missing_one(tmp_path):
    write_table(RunDir(tmp_path), "m", "", COLUMNS, [])
    assert list(read_table(RunDir(tmp_path), "m").columns) == list(COLUMNS)
    assert read_rows(RunDir(tmp_path), "m", "") == []
    assert read_rows(RunDir(tmp_path), "other", "") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"share": math.nan}, "share: nan is not finite"),
        ({"share": math.inf}, "share: inf is not finite"),
        ({"share": 1.01}, "share: 1.01 is above 1"),
        ({"share": -0.01}, "share: -0.01 is below 0"),
        ({"share": 1}, "share: 1 is a int, declared float"),
        ({"share": None}, "share: is null but declared never to be"),
        ({"step": True}, "step: True is a bool, declared int"),
        ({"step": -1}, "step: -1 is below 0"),
        ({"name": 5}, "name: 5 is a int, declared str"),
        ({"extra": 1}, r"columns \['extra'\] are not declared"),
    ],
)
def test_a_row_that_breaks_its_declaration_is_refused(change, says):
    check_rows([ROW], COLUMNS)
    with pytest.raises(ValueError, match=says):
        check_rows([ROW, ROW | change], COLUMNS)


def test_a_row_without_a_declared_column_is_refused():
    with pytest.raises(ValueError, match=r"columns \['good'\]"):
        check_rows([{name: value for name, value in ROW.items() if name != "good"}], COLUMNS)
