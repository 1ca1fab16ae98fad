"""Streams: rows that come in chunks and are seen once."""
