"""Events of a run and the phases between them, by declared rules on metrics.jsonl.

events.py: thresholds on one series. divide.py: the phases that lie between events. knees.py: where a
curve bends, for curves without a natural threshold. descent.py: the double descent of the test loss.
timeline.py: all of it for one run, and its JSON. Thresholds are constants beside the rules and are
written into the JSON. Nothing here needs torch, and what is slow to import is imported when called.
"""

from grokinterp.phases.descent import RISE, DoubleDescent, find_double_descent
from grokinterp.phases.divide import CLEANUP, Phase
from grokinterp.phases.events import RULES, SUSTAIN, Event, find_event
from grokinterp.phases.knees import KNEE_RATIO, Knee, Knees, find_knees
from grokinterp.phases.saved import is_phases_json
from grokinterp.phases.timeline import CHANGE_POINT, GROKKING_POINTS, Phases, find_phases

__all__ = [
    "CHANGE_POINT",
    "CLEANUP",
    "GROKKING_POINTS",
    "KNEE_RATIO",
    "RISE",
    "RULES",
    "SUSTAIN",
    "DoubleDescent",
    "Event",
    "Knee",
    "Knees",
    "Phase",
    "Phases",
    "find_double_descent",
    "find_event",
    "find_knees",
    "find_phases",
    "is_phases_json",
]
