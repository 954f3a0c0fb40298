"""Under TransformerLens 3 a bridge is refused with what to install; tests/tl4 has the bridge itself."""

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models import lens_version
from grokinterp.models.lens_version import require_lens

SHORT = {"steps": 2}


def test_version_3_is_told_how_to_install_4_beside_it(tmp_path):
    run = gi.train(small_config(train=SHORT), tmp_path / "run", show_progress=False)
    with pytest.raises(GrokinterpError, match=r"needs TransformerLens 4, and 3\.\S+ is installed; make an environment"):
        run.bridge(0)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"kind": "mlp"}, "this network is an mlp"),
        ({"kind": "lstm"}, "an lstm"),
        ({"normalization": "post-LN"}, "post-LN"),
    ],
)
def test_what_no_bridge_computes_is_refused_whatever_is_installed(model, sentence, tmp_path):
    config = gi.RunConfig.from_mapping({"task": {"p": 7, "frac_train": 0.6}, "model": model, "train": SHORT})
    with pytest.raises(GrokinterpError, match=sentence):
        gi.train(config, tmp_path / "run", show_progress=False).bridge(0)


def test_version_4_is_told_that_there_is_no_hooked_transformer(monkeypatch):
    monkeypatch.setattr(lens_version, "lens_version", lambda: "4.3.0")
    with pytest.raises(
        GrokinterpError, match=r"which TransformerLens 4\.3\.0 no longer has; `run.bridge\(step\)` gives"
    ):
        require_lens(3)
    require_lens(4)
