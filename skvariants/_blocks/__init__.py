"""Fits from sums over blocks of rows, wherever the rows are."""
