"""Checkpoints that other people trained, turned into run directories: one file a format.

A format's module has NAME, SUMMARY, `recognise(source) -> bool` and `read(source, given) -> Imported`,
where `given` are the sections (task, model, ...) that the user laid down, which win over what is inferred.
"""
