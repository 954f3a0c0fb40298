import pytest

import grokinterp as gi
from grokinterp.measures.registry import builtin_measures, load_measure_file, select

OWN = """
from grokinterp import Column, Measure, Part
MEASURE = Measure(
    name="mine",
    summary="Mine.",
    reference="none",
    parts={"": Part({"x": Column("one")}, lambda snapshot, *, params: [{"x": 1.0}])},
    plot=lambda tables: None,
)
"""


def test_a_measure_is_found_by_the_name_of_its_file():
    for name, measure in builtin_measures().items():
        assert measure.name == name
        assert measure.table_names()[0] == name
        assert "" in measure.parts


def test_a_file_of_ones_own_gives_its_measure(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    measure = load_measure_file(tmp_path / "mine.py")
    assert measure.parts[""].compute(None, params={}) == [{"x": 1.0}]
    assert select(["flatness", measure]) == {"flatness": builtin_measures()["flatness"], "mine": measure}
    assert "mine" not in builtin_measures()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "fails to import .*no_such_module.*; fix it first"),
        ("def (", r"fails to import \(SyntaxError"),
        ("MEASURE = 5", r"has no MEASURE = Measure\(\.\.\.\)"),
        ("", "has no MEASURE"),
    ],
)
def test_a_file_without_a_measure_is_refused_in_one_sentence(text, says, tmp_path):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(gi.GrokinterpError, match=says):
        load_measure_file(tmp_path / "bad.py")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(gi.GrokinterpError, match=r"no measure file .*gone\.py"):
        load_measure_file(tmp_path / "gone.py")


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all():
    with pytest.raises(gi.GrokinterpError, match=r"did you mean weight_norm\?"):
        select(["weight_nrom"])
    with pytest.raises(gi.GrokinterpError, match="choose from accuracy_loss, "):
        select(["zzz"])
