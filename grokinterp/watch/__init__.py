"""`grokinterp watch`: a live view in the terminal of a run that this or another process trains.

look.py reads what a run directory holds at a moment, folder.py the same for a folder of runs, view.py and
sparkline.py turn it into lines of text, follow.py shows them again and again. Nothing here writes or locks, and
nothing needs torch.
"""
