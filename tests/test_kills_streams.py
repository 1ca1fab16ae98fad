"""Streams where a mutant survived: what each module of them promises, against its definition."""
