"""Streams: what is kept and done beside training where rows arrive in chunks. No component."""
