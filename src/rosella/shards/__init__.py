"""Shards: codes and transcripts in Parquet, listed by `export.json`; what the corpus writes and training reads."""
