"""Annotated speech -> examples: one file per source format, notation, cutting and the report."""
