"""Rows and targets as the training wants them; no formula of a loss, a penalty or a solver."""
