"""What was measured as self-contained HTML pages: of a model that speaks, of a corpus, of a recogniser."""
