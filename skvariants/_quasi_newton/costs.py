"""What an iteration and a Hessian cost, in multiplications of a Hessian, and what pays when.

The constants were measured on two cores with OpenBLAS (docs/guide/costs.md) over the open tables of docs/defaults.md.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Multiplications of a Hessian that are always affordable, and that are cheap.
AFFORDABLE, CHEAP = 5e9, 1e8
#: Those that are cheap for a Hessian that the next step makes obsolete: single fits are no slower, and 64 columns
#: three times faster (on one core, 24,000 x 33 to 48,000 x 118), as products with columns are shared and it is not.
BRIEF = 1e7
#: Passes over the rows that a Hessian may cost.
PASSES = 20
#: An iteration reads each stored value, and multiplies it with each column.
READING, COLUMN = 20.0, 8.0
#: Loss and derivative of one prediction; the interpreter.
PREDICTION, INTERPRETER = 900.0, 8e6
#: The same where classes are coupled, and how many iterations a Hessian of all of them may cost.
COUPLED_PREDICTION, COUPLED = 100.0, 5
#: Numbers of a table, and features, up to which the interpreter costs more than Newton's steps, and multiplications of
#: a Hessian of coupled classes (examples/benchmarks/classes.py: iris and wine in a third of the time).
SMALL_NUMBERS, SMALL_FEATURES, SMALL_COUPLED = 1 << 17, 128, 3e7
#: Iterations from whose cost on a Hessian of each class is expensive.
EXPENSIVE = 3
#: Times its cost that is spent without a Hessian of all classes before it is made after all.
PATIENCE = 4
#: Steps that a metric common to all classes lasts: what L-BFGS learnt upon it is worth more than a new one.
LASTING = 40
#: Features for which a Cholesky factor is worth it.
FACTORED = 1024
#: Bytes of all Hessians together.
HESSIAN_BYTES = 1 << 29
#: Rows of a sampled Hessian: a share of all by its size, as many a row of it, or so many at least.
SHARE, ROWS, LEAST_ROWS = 8, 4, 512


@dataclass(frozen=True)
class Costs:
    """Costs on one batch.

    Parameters
    ----------
    n, d : int
        Rows, and features with the intercept.
    stored : int
        Stored values.
    width : int
        Columns of a model.
    """

    n: int
    d: int
    stored: int
    width: int

    @property
    def small(self) -> bool:
        """Whether each step is worth a Hessian of its own, of all classes that are coupled."""
        few = self.n * self.d <= SMALL_NUMBERS and self.d <= SMALL_FEATURES + 1
        return few and (self.width == 1 or self.hessian(self.n, self.width, False) <= SMALL_COUPLED)

    @property
    def affordable(self) -> float:
        """What a Hessian may cost."""
        return max(AFFORDABLE, PASSES * 4.0 * self.stored * self.width)

    @property
    def worthwhile(self) -> float:
        """What a Hessian that couples the classes may cost at first: it saves most of the iterations."""
        return min(COUPLED * self.iteration(), self.affordable)

    def common_sample(self) -> int:
        """Rows of a Hessian that all classes share: it lasts, so that all that cost a few iterations are worth it."""
        rows = int(EXPENSIVE * self.iteration() / (self.d * self.d))
        return min(self.n, max(ROWS * self.d, LEAST_ROWS, rows, int(CHEAP / (8 * self.d * self.d))))

    def hessian(self, rows: int, unit: int, common: bool) -> float:
        """A Hessian of so many rows for every unit of columns, or a common one for all columns of a model."""
        size, count = unit * self.d, 1 if common else self.width // unit
        return count * size * size * (rows + size / 3)

    def iteration(self) -> float:
        """An iteration: reading, products, loss, interpreter."""
        prediction = PREDICTION if self.width == 1 else COUPLED_PREDICTION
        return self.stored * (READING + COLUMN * self.width) + prediction * self.n * self.width + INTERPRETER

    def sample(self, unit: int, brief: bool = False) -> int:
        """Rows of the first Hessian: all where that is cheap; `brief` says that it changes from step to step."""
        size = unit * self.d
        if self.hessian(self.n, unit, False) <= (BRIEF if brief else CHEAP):
            return self.n
        # of classes that are coupled, rare ones must be seen: all rows that cost what is worth it
        rows = int(self.worthwhile / (size * size) - size / 3) if unit > 1 else 0
        return min(self.n, max(SHARE * self.n // size, ROWS * size, LEAST_ROWS, rows))


__all__ = ["Costs"]
