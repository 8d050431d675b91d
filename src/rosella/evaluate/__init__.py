"""Measures of generated speech: intelligibility, reading, voice, pace; the pages that show them are in `rosella.report`."""
