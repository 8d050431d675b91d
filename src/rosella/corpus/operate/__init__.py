"""Keeping a corpus: removing what must go, backups, migrations, clearing up, counting the work ahead."""
