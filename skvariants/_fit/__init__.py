"""From specs and data to fitted models."""

from skvariants._fit.batches import Batches, fit_batches
from skvariants._fit.blocks import on_table
from skvariants._fit.job import continuation_key
from skvariants._fit.results import Fitted, Kept, Setup, model_attributes
from skvariants._fit.story import fit, fit_together
from skvariants._fit.sums import rows_of_fit
from skvariants._training.loop import Interrupted

__all__ = [
    "Batches",
    "Fitted",
    "Interrupted",
    "Kept",
    "Setup",
    "continuation_key",
    "fit",
    "fit_batches",
    "fit_together",
    "model_attributes",
    "on_table",
    "rows_of_fit",
]
