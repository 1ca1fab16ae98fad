"""Columns trained together: what is minimised, what changes, one loop, the method of steps. No component."""
