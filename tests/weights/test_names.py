from __future__ import annotations

import pytest

from foreign_homes import weights
from rosella.weights.names import Kind, places
from tiny_dia import CONFIG, model


@pytest.mark.parametrize("named", Kind)
def test_the_table_names_every_parameter_once(named):
    """Whole, or in all its parts."""
    found = [(place.path, place.number) for place in places(named, CONFIG).values()]
    assert len(set(found)) == len(found)
    for path, value in weights(model()).items():
        numbers = [number for name, number in found if name == path]
        assert numbers in ([None], list(range(len(value)))), path
