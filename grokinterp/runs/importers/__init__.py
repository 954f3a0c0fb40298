"""Checkpoints that other people trained, turned into run directories: one file a format.

A format's module has NAME, SUMMARY, `recognise(source) -> bool` and `read(source, given) -> Imported`,
where `given` are the sections (task, model, ...) that the user laid down, which win over what is inferred.
registry.py lists the modules in the order in which they are asked, importing.py turns what one reads into a run
directory.
"""

from grokinterp.runs.importers.importing import ImportReport, import_run

__all__ = ["ImportReport", "import_run"]
