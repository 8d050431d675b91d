"""People correct what machines wrote down: a queue of clips, a page to hear and mend them, and how far the work is."""
