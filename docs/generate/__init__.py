"""Pages that are made and not written: commands, config, measures, presets, API, formats, notebooks, verdicts.

`hook.py` is what mkdocs calls. Each other module has a function `pages` that gives what it makes, path by path. A new
command, field, measure, preset, public name, format, notebook or verdict table is there at the next build.
"""
