"""metrics.jsonl survives a kill while a line is written, and hides no damage."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.errors import GrokinterpError
from grokinterp.runs.metrics import MetricsLog, cut_metrics, dropped_line, read_metrics

ROWS = [{"step": s, "train_loss": 1 / (s + 3), "test_loss": 2.5} for s in (0, 10, 20, 25)]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = MetricsLog(path)
    for row in ROWS:
        writer.append(row)
    writer.close()
    return path


def test_rows_come_back_exactly(log):
    assert read_metrics(log) == ROWS


def test_a_row_is_on_disk_before_the_log_is_closed(tmp_path):
    writer = MetricsLog(tmp_path / "m")
    writer.append(ROWS[1])
    assert read_metrics(tmp_path / "m") == [ROWS[1]]
    writer.close()


def test_no_file_is_no_rows(tmp_path):
    assert read_metrics(tmp_path / "none") == []
    cut_metrics(tmp_path / "none", 5)
    assert not (tmp_path / "none").exists()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_gives_the_rows_that_are_whole(cut, tmp_path_factory):
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    kept = text[: min(cut, len(text))]
    path = tmp_path_factory.mktemp("cut") / "metrics.jsonl"
    path.write_text(kept)
    assert read_metrics(path) == ROWS[: kept.count("\n")]


@pytest.mark.parametrize(
    "damage",
    [
        '{"step": 1',
        "[1, 2]",
        '{"loss": 3}',
        '{"step": "ten"}',
        '{"step": true}',
        '{"step": 20, "train_loss": "low"}',
        '{"step": 20, "train_loss": NaN}',
        '{"step": 20, "train_loss": 1e999}',
        '{"step": 20, "train_loss": [1]}',
        f'{{"step": 20, "train_loss": {"9" * 400}}}',
        "",
        "\x00\x00",
    ],
)
def test_damage_before_the_last_line_is_refused_with_its_number(log, damage):
    lines = log.read_text().splitlines()
    lines[2] = damage
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(GrokinterpError, match=r"line 3 of .*metrics\.jsonl is damaged"):
        read_metrics(log)


@pytest.mark.parametrize(("step", "left"), [(0, 0), (10, 1), (11, 2), (25, 3), (26, 4), (1000, 4)])
def test_cutting_keeps_the_rows_before_a_step_byte_for_byte(log, step, left):
    before = log.read_text().splitlines(keepends=True)
    cut_metrics(log, step)
    assert log.read_text() == "".join(before[:left])


def test_cutting_drops_half_a_line_so_that_appending_goes_on_cleanly(log):
    with log.open("a") as file:
        file.write('{"step": 30, "tr')
    cut_metrics(log, 100)
    writer = MetricsLog(log)
    writer.append({"step": 30})
    writer.close()
    assert read_metrics(log) == [*ROWS, {"step": 30}]


@pytest.mark.parametrize("last", ["", '{"step": 30', "garbage\n", '{"step": 30}'])
def test_the_last_line_is_given_where_it_is_dropped(last, log, tmp_path):
    with log.open("a") as file:
        file.write(last)
    assert read_metrics(log) == ROWS
    assert dropped_line(log) == (last or None)
    assert dropped_line(tmp_path / "none") is None


def test_a_row_that_is_no_number_is_not_written(log):
    writer = MetricsLog(log)
    with pytest.raises(ValueError, match="JSON compliant"):
        writer.append({"step": 40, "test_loss": float("nan")})
    writer.close()
    assert read_metrics(log) == ROWS
