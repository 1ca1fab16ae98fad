"""
A whole pipeline, tuned in one pass
===================================

A table with numbers and categories, a pipeline, and a grid whose candidates are trained together as columns of one
matrix.
"""

# %%
# Diabetes: 442 patients, nine measurements in raw units, and sex as a category. Some measurements are taken away at
# random, so that there is something to impute.

import time

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skvariants import SGDVariantRegressor
from skvariants.displays import SearchCurveDisplay
from skvariants.model_selection import BatchedGridSearchCV

table = load_diabetes(as_frame=True, scaled=False)
X = table.data.assign(sex=table.data["sex"].map({1.0: "a", 2.0: "b"}).astype("category"))
missing = np.random.default_rng(0).random(X.shape) < 0.05
X = X.mask(missing & (X.columns != "sex"))
X_train, X_test, y_train, y_test = train_test_split(X, table.target, random_state=0)

columns = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    (SimpleImputer(), make_column_selector(dtype_include="number")),
)
pipeline = make_pipeline(columns, SGDVariantRegressor(solver="momentum", random_state=0))
pipeline

# %%
# One pass for all candidates
# ---------------------------

prefix = "sgdvariantregressor__"
grid = {f"{prefix}alpha": np.logspace(-5, 2, 8), f"{prefix}solver": ["momentum", "adam"]}
searches = {}
for search in (GridSearchCV, BatchedGridSearchCV):
    start = time.perf_counter()
    fitted = search(pipeline, grid, cv=5).fit(X_train, y_train)
    searches[search.__name__] = fitted
    best = ", ".join(f"{name.removeprefix(prefix)}={value}" for name, value in fitted.best_params_.items())
    print(f"{search.__name__:20s} {time.perf_counter() - start:6.2f} s, best: {best}, ", end="")
    print(f"R2 of five folds {fitted.best_score_:.4f}, on test data {fitted.score(X_test, y_test):.4f}")
one, other = (search.cv_results_["mean_test_score"] for search in searches.values())
print(f"largest difference between the scores of a candidate: {np.abs(one - other).max():.1e}")

# %%
# The grid, the folds and the scores are the same; only the way there differs. With ten columns there is little to
# overfit, so a penalty above 0.01 only costs.

display = SearchCurveDisplay.from_search(searches["BatchedGridSearchCV"], f"{prefix}alpha", line_by=f"{prefix}solver")
_ = display.ax_.set_title("Scores of five folds", loc="left")
