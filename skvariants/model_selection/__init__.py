r"""Search for hyperparameters that trains all candidates as columns of one matrix.

For a linear model by gradient, 64 candidates are 64 columns: the same rows, the same batches, one product,

.. math:: Z = X_b\,[\,w^{(1)}\; w^{(2)}\; \dots\; w^{(64)}\,].

Only numbers (alpha, l1_ratio, eta0, the numeric fields of a solver, schedule or loss) may differ between columns of
one matrix, so candidates that differ in more are grouped, and each group is one matrix. What is not of this
package, or has a `fit` of its own, is fitted the ordinary way. Candidates, folds, scores and winner are those of
scikit-learn's search.
"""

from skvariants.model_selection.grid import BatchedGridSearchCV, BatchedRandomizedSearchCV
from skvariants.model_selection.halving import BatchedHalvingSearchCV

__all__ = ["BatchedGridSearchCV", "BatchedHalvingSearchCV", "BatchedRandomizedSearchCV"]


def __dir__() -> list[str]:
    return list(__all__)
