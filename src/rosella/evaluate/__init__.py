"""Scores of generated speech (intelligibility, pace, voice) and the report that shows them."""
