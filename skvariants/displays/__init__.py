"""Displays: what a fit did, as pictures, in scikit-learn's convention.

A display is made by a class method (``from_estimator``, ``from_estimators``, ``from_objective``), keeps the numbers
that it shows as attributes, draws itself by its method ``plot`` and then holds the artists as attributes whose names
end in an underscore. matplotlib is imported when something is drawn, not before. The displays of a fit read public
fitted attributes (``history_``, ``race_``, ``best_epoch_``, ``status_``, ``progressive_scores_``), those of a search
``cv_results_`` in scikit-learn's layout, and none imports anything of the models. Where an estimator is expected, a
pipeline, a search or a wrapper that trained one will do.

Colours are those of Okabe and Ito (2008), which people with a colour vision deficiency can tell apart; a solver has the
same colour, line style and marker in every picture, and no two have the same line style and marker.
"""

from skvariants.displays.coefficients import CoefficientsDisplay
from skvariants.displays.curves import LossCurveDisplay, SolverComparisonDisplay
from skvariants.displays.diagnosis import DiagnosisDisplay
from skvariants.displays.progress import ProgressDisplay
from skvariants.displays.race import RaceDisplay
from skvariants.displays.search import SearchCurveDisplay, SearchHeatmapDisplay
from skvariants.displays.trajectory import TrajectoryDisplay

__all__ = [
    "CoefficientsDisplay",
    "DiagnosisDisplay",
    "LossCurveDisplay",
    "ProgressDisplay",
    "RaceDisplay",
    "SearchCurveDisplay",
    "SearchHeatmapDisplay",
    "SolverComparisonDisplay",
    "TrajectoryDisplay",
]


def __dir__() -> list[str]:
    return list(__all__)
