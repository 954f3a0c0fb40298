import pytest
from conftest import small_config

from grokinterp.models.weights import is_bias, weight_specs
from grokinterp.tasks.layouts import build_layout


@pytest.mark.parametrize("normalization", ["none", "LN"])
def test_a_bias_is_known_by_the_name_of_its_tensor(normalization):
    config = small_config(model={"n_layers": 2, "normalization": normalization})
    specs = weight_specs(config.model, build_layout(config.task.layout, 7), 7)
    assert {name for name in specs if is_bias(name)} == {name for name, spec in specs.items() if spec.bias}
    assert any(spec.bias and len(spec.shape) == 2 for spec in specs.values())
