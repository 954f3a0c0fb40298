"""A user's own operation, from a CSV table or a function: read as it stands, or refused in one sentence."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.config import read_operation, table_of
from grokinterp.errors import GrokinterpError
from grokinterp.overrides import load_toml, override
from grokinterp.tasks import build_task
from grokinterp.tasks.modular import modular_table

OWN = ((0, 1, 2), (2, -1, 1), (1, 2, 0))
TABLES = st.integers(2, 6).flatmap(
    lambda n: st.lists(st.lists(st.integers(-1, 12), min_size=n, max_size=n), min_size=n, max_size=n)
)


def as_csv(table, end="\n"):
    return end.join(",".join("" if answer == -1 else str(answer) for answer in row) for row in table)


def from_mapping(folder, task):
    return gi.RunConfig.from_mapping({"task": {"frac_train": 0.5, **task, "file": str(folder / task["file"])}})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    table=TABLES,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.integers(0, 2),
    mark=st.booleans(),
    spaces=st.booleans(),
)
def test_a_csv_table_is_read_whatever_its_line_ends_and_its_byte_order_mark(
    table, end, last, mark, spaces, tmp_path_factory
):
    path = tmp_path_factory.mktemp("csv") / "ops.csv"
    text = as_csv(table, end) + last * end
    text = text.replace(",", " , ") if spaces else text
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    assert read_operation(path, None) == tuple(map(tuple, table))


def test_a_table_of_another_ending_and_with_quotes_is_csv_too(tmp_path):
    (tmp_path / "ops.txt").write_text('"0","1"\n"1",""\n')
    assert read_operation(tmp_path / "ops.txt", None) == ((0, 1), (1, -1))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(table=TABLES)
def test_a_function_is_asked_for_every_pair_and_none_is_no_answer(table):
    n = len(table)
    found = table_of(lambda x, y: None if table[x][y] == -1 else table[x][y], n)
    assert found == tuple(map(tuple, table))


def test_a_file_of_python_defines_the_operation(tmp_path):
    (tmp_path / "ops.py").write_text(
        "import numpy as np\n"
        "ROOTS = {x * x % 7: x for x in range(4)}\n"
        "def operation(x, y):\n"
        "    root = ROOTS.get((x + y) % 7)\n"
        "    return None if root is None else np.int64(root)\n"
    )
    config = from_mapping(tmp_path, {"file": "ops.py", "p": 7})
    squares = {0: 0, 1: 1, 4: 2, 2: 3}
    expected = [[squares.get((x + y) % 7, -1) for y in range(7)] for x in range(7)]
    task = build_task(config.task)
    assert task.table.tolist() == expected
    assert config.task.n_pairs == len(task.pairs()[0]) == sum(answer >= 0 for row in expected for answer in row)
    assert (config.task.operation, config.task.p, config.task.n_elements, task.n_answers) == ("custom", 7, 7, 4)
    assert "ops.py" in task.name


def test_the_file_alone_says_that_the_operation_is_custom(tmp_path):
    (tmp_path / "ops.csv").write_text(as_csv(OWN))
    config = from_mapping(tmp_path, {"file": "ops.csv"})
    assert (config.task.operation, config.task.p, config.task.table) == ("custom", None, OWN)
    assert config == from_mapping(tmp_path, {"file": "ops.csv", "operation": "custom"})
    assert config.task.n_pairs == 8


def test_a_table_needs_no_file():
    task = gi.TaskConfig(operation="custom", table=OWN, frac_train=0.5)
    assert build_task(task).table.tolist() == [list(row) for row in OWN]
    assert build_task(task).name == "custom operation"


@pytest.mark.parametrize("ending", [".csv", ".py"])
def test_the_config_is_complete_without_the_file(ending, tmp_path):
    path = tmp_path / f"ops{ending}"
    path.write_text(as_csv(OWN) if ending == ".csv" else f"operation = lambda x, y: {OWN}[x][y] % 3\n")
    config = from_mapping(tmp_path, {"file": path.name, **({"p": 3} if ending == ".py" else {})})
    path.unlink()
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert gi.RunConfig.from_json(config.to_json()) == config
    assert gi.RunConfig.from_mapping(load_toml(tmp_path / "config.toml")) == config
    assert override(gi.RunConfig(), load_toml(tmp_path / "config.toml")) == config
    assert override(config) == override(config, {"task": {"operation": "custom"}}) == config
    assert (build_task(config.task).table == np.array(config.task.table)).all()


def test_opening_a_saved_config_runs_nobody_s_code(tmp_path):
    (tmp_path / "ops.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'was_here')!r}).touch()\noperation = max\n"
    )
    data = json.loads(from_mapping(tmp_path, {"file": "ops.py", "p": 3}).to_json())
    (tmp_path / "was_here").unlink()
    gi.RunConfig.from_json(json.dumps(data))
    data["task"]["table"] = None
    with pytest.raises(GrokinterpError, match="operation custom needs its table"):
        gi.RunConfig.from_json(json.dumps(data))
    assert not (tmp_path / "was_here").exists()


def test_a_changed_file_does_not_change_the_config_and_another_file_does(tmp_path):
    (tmp_path / "ops.csv").write_text(as_csv(OWN))
    config = from_mapping(tmp_path, {"file": "ops.csv"})
    (tmp_path / "ops.csv").write_text("0,1\n1,0\n")
    assert gi.RunConfig.from_json(config.to_json()).task.table == OWN
    assert override(config, {"task": {"split_seed": 1}}).task.table == OWN
    assert override(config, {"task": {"file": str(tmp_path / "ops.csv")}}).task.table == ((0, 1), (1, 0))


@pytest.mark.parametrize("n", [2, 7, 12])
def test_a_table_that_is_addition_has_its_coordinates(n):
    table = tuple(tuple((x + y) % n for y in range(n)) for x in range(n))
    ours = build_task(gi.TaskConfig(operation="custom", table=table, frac_train=0.5))
    theirs = build_task(gi.TaskConfig(p=n, frac_train=0.5))
    assert ours.structure == theirs.structure == f"addition on Z_{n}"
    for name in ("left", "right", "answer", "label"):
        assert np.array_equal(getattr(ours.coordinates, name), getattr(theirs.coordinates, name))


@pytest.mark.parametrize(
    ("operation", "n", "label"), [("x-y", 6, "additive"), ("x*y", 7, "multiplicative"), ("x/y", 5, "multiplicative")]
)
def test_so_has_one_that_is_addition_in_disguise(operation, n, label):
    table = tuple(map(tuple, modular_table(operation, n).tolist()))
    ours = build_task(gi.TaskConfig(operation="custom", table=table, frac_train=0.5))
    c = ours.coordinates
    assert c.label == label
    for i, j in np.ndindex(c.n, c.n):
        assert ours.table[c.left[i], c.right[j]] == c.answer[(i + j) % c.n]


def test_a_table_that_is_no_addition_has_none_but_its_group_is_found():
    s3 = build_task(gi.TaskConfig(operation="x.y", group="S3")).table
    own = build_task(gi.TaskConfig(operation="custom", table=tuple(map(tuple, s3.tolist()))))
    assert own.coordinates is None
    assert own.group.group.order == 6
    assert "the user's own" in own.structure
    assert build_task(gi.TaskConfig(operation="custom", table=OWN, frac_train=0.5)).group is None


FILES = {
    "ragged.csv": b"0,1,2\n1,2\n2,0,1\n",
    "wide.csv": b"0,1,2\n1,2,0\n",
    "header.csv": b"0,a\n1,0\n",
    "named.csv": b"x\\y,0,1\n0,0,1\n1,1,0\n",
    "float.csv": b"0,1.0\n1,0\n",
    "negative.csv": b"0,-1\n1,0\n",
    "grouped.csv": b"0,1_0\n1,0\n",
    "large.csv": b"0,720\n1,0\n",
    "huge.csv": b"0,99999999999999999999\n1,0\n",
    "tall.csv": b",".join([b"0"] * 721) + b"\n",
    "binary.csv": bytes(range(256)),
    "zeros.csv": b"\x00\x00\x00\x00",
    "empty.csv": b"",
    "one.csv": b"3\n",
    "constant.csv": b"1,1\n1,1\n",
    "undefined.csv": b",\n,\n",
    "crashing.py": b"1 / 0\n",
    "exiting.py": b"import sys\nsys.exit(3)\n",
    "broken.py": b"def operation(x, y:\n",
    "nameless.py": b"def operations(x, y):\n    return x\n",
    "number.py": b"operation = 3\n",
    "raising.py": b"def operation(x, y):\n    raise ValueError('no\\nway')\n",
    "leaving.py": b"def operation(x, y):\n    exit()\n",
    "unary.py": b"def operation(x):\n    return x\n",
    "halves.py": b"def operation(x, y):\n    return (x + y) / 2\n",
    "below.py": b"def operation(x, y):\n    return x - y\n",
    "truth.py": b"def operation(x, y):\n    return x < y\n",
    "text.py": b"def operation(x, y):\n    return '3'\n",
    "arrays.py": b"import numpy as np\ndef operation(x, y):\n    return np.zeros((3, 3)) + x\n",
    "flags.py": b"import numpy as np\ndef operation(x, y):\n    return np.bool_(x < y)\n",
    "above.py": b"def operation(x, y):\n    return 1000 * x + y\n",
    "fine.py": b"def operation(x, y):\n    return max(x, y)\n",
    "fine.csv": b"0,1\n1,0\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("operations")
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    (path / "folder.csv").mkdir()
    return path


REFUSED = [
    ({"file": "absent.csv"}, ["no file", "absent.csv", "CSV table or a .py file"]),
    ({"file": "folder.csv"}, ["no file", "folder.csv"]),
    ({"file": "x" * 300 + ".csv"}, ["cannot be read", "File name too long"]),
    ({"file": "ragged.csv"}, ["ragged.csv, row 1", "2 cells", "3 rows"]),
    ({"file": "wide.csv"}, ["wide.csv, row 0", "3 cells", "2 rows"]),
    ({"file": "header.csv"}, ["row 0, column 1", "'a'", "no header"]),
    ({"file": "named.csv"}, ["row 0, column 0", "no header"]),
    ({"file": "float.csv"}, ["'1.0' is no whole number"]),
    ({"file": "negative.csv"}, ["'-1' is no whole number from 0 on", "leave a cell empty"]),
    ({"file": "grouped.csv"}, ["'1_0'"]),
    ({"file": "large.csv"}, ["answer to (0, 1) is 720", "0 to 719"]),
    ({"file": "huge.csv"}, ["no whole number"]),
    ({"file": "tall.csv"}, ["tall.csv", "one row", "at least 2"]),
    ({"file": "binary.csv"}, ["is no CSV text"]),
    ({"file": "zeros.csv"}, ["no whole number"]),
    ({"file": "empty.csv"}, ["0 rows"]),
    ({"file": "one.csv"}, ["one.csv", "one row"]),
    ({"file": "constant.csv"}, ["fewer than two different answers"]),
    ({"file": "undefined.csv"}, ["fewer than two different answers"]),
    ({"file": "crashing.py", "p": 5}, ["does not run", "ZeroDivisionError"]),
    ({"file": "exiting.py", "p": 5}, ["does not run", "SystemExit: 3"]),
    ({"file": "broken.py", "p": 5}, ["does not run", "SyntaxError"]),
    ({"file": "nameless.py", "p": 5}, ["defines no function operation(x, y)"]),
    ({"file": "number.py", "p": 5}, ["defines no function operation(x, y)"]),
    ({"file": "raising.py", "p": 5}, ["operation(0, 0) fails", "ValueError: no way"]),
    ({"file": "leaving.py", "p": 5}, ["operation(0, 0) fails", "SystemExit"]),
    ({"file": "unary.py", "p": 5}, ["operation(0, 0) fails", "TypeError"]),
    ({"file": "halves.py", "p": 5}, ["operation(0, 0) = 0.0", "no whole number"]),
    ({"file": "below.py", "p": 5}, ["operation(0, 1) = -1", "no whole number from 0 on"]),
    ({"file": "truth.py", "p": 5}, ["operation(0, 0) = False"]),
    ({"file": "text.py", "p": 5}, ["= '3'"]),
    ({"file": "arrays.py", "p": 5}, ["operation(0, 0) = array("]),
    ({"file": "flags.py", "p": 5}, ["operation(0, 0) = ", "False"]),
    ({"file": "above.py", "p": 5}, ["answer to (1, 0) is 1000"]),
    ({"file": "fine.py"}, ["how many elements", "--task.p N"]),
    ({"file": "fine.py", "p": 1}, ["task.p = 1", "greater than or equal to 2"]),
    ({"file": "fine.py", "p": 10**9}, ["task.p = 1000000000", "less than or equal to 720"]),
    ({"file": "fine.csv", "p": 3}, ["p is 3", "2 rows", "leave p out"]),
    ({"file": "fine.csv", "operation": "x+y", "p": 7}, ["needs operation custom"]),
    ({"file": "fine.csv", "group": "S3"}, ["a group needs operation x.y"]),
]


@pytest.mark.parametrize(("task", "says"), REFUSED, ids=lambda value: value["file"] if isinstance(value, dict) else "-")
def test_what_is_no_operation_is_refused_in_one_sentence(task, says, folder):
    with pytest.raises(GrokinterpError) as caught:
        from_mapping(folder, task)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence.replace(str(folder), "")) < 600
    for part in says:
        assert part in sentence


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (None, "needs its table"),
        (((0, 1), (1, -2)), r"answer to \(1, 1\) is -2"),
        (((0, 1), (1,)), "row 1"),
        (((0, 1.5), (1, 0)), r"task\.table = .* whole numbers; \[0\]\[1\] is 1\.5"),
        ("ops.csv", "task.table = 'ops.csv'"),
        ([["a"] * 50] * 50, r"\[0\]\[0\] is 'a'"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_sentence(table, says):
    with pytest.raises(GrokinterpError) as caught:
        gi.RunConfig.from_mapping({"task": {"operation": "custom", "table": table}})
    assert re.search(says, str(caught.value))
    assert len(str(caught.value)) < 600


def test_a_table_belongs_to_the_custom_operation():
    with pytest.raises(GrokinterpError, match="needs operation custom"):
        gi.RunConfig.from_mapping({"task": {"operation": "x+y", "table": OWN}})
