"""Quasi-Newton steps on a growing batch: the method of ``solver="quasi_newton"``."""
