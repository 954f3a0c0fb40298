import grokinterp as gi


def test_the_ci_preset_groks(grokked_run):
    assert grokked_run.phases.generalization_step is not None
    assert grokked_run.phases.grokking_delay > 0


def test_no_public_function_is_shadowed_by_a_submodule():
    import pkgutil

    submodules = {info.name for info in pkgutil.iter_modules(gi.__path__)}
    assert submodules & set(gi.__all__) == {"plotting", "presets"}
