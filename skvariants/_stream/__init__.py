"""Rows that come once: what is learned from them, and for how long it is remembered."""
