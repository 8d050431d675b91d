"""What recordings are brought in: a record (`entries`), a reader for each format, and one door to them all (`read`)."""
