"""Interior-point steps for losses with kinks: the method of ``solver="interior_point"``."""
