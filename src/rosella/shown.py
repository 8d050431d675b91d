"""What may be shown: names of files may hold line breaks, commands to a terminal, and bytes that are no text."""

from __future__ import annotations


def shown(text: str) -> str:
    """The text; where it holds what cannot be printed, with all that is not ASCII escaped."""
    return text if text.isprintable() else ascii(text)[1:-1]


def lines_shown(text: str) -> str:
    """The same for each line of several."""
    return "\n".join(map(shown, text.split("\n")))


def meant(text: str) -> str:
    """What `shown` escaped."""
    try:
        said = text.encode("ascii", "backslashreplace").decode("unicode_escape")
    except UnicodeDecodeError:
        return text
    return said if shown(said) == text else text
