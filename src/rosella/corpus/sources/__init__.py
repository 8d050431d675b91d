"""Readers of other people's formats; `rosella.corpus.manifest.read_source` chooses among them."""
