"""`python -m rosella` is the command `rosella`."""

from __future__ import annotations

from rosella.cli import main

if __name__ == "__main__":
    main()
