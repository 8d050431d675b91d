from __future__ import annotations

import pytest

from rosella.errors import UserError
from rosella.training.start import check_export
from training import tiny


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"max_frames": 2}, "max_frames is 2, but the delay pattern alone takes 2"),
        ({"max_frames": 62}, "max_frames 62 needs 65 decoder positions, the model has 64"),
        ({"max_text_bytes": 65}, "max_text_bytes is 65, the model reads at most 64"),
    ],
)
def test_limits_the_model_cannot_hold_are_refused(export, limits, sentence):
    data = {"export": "x", "batch_size": 2, "max_frames": 40, "max_text_bytes": 60, **limits}
    with pytest.raises(UserError, match=sentence):
        check_export(export, tiny.config(), tiny.recipe("x", data=data).data)


def test_codes_of_another_shape_are_refused(export):
    from rosella.model.config import mini

    with pytest.raises(UserError, match="3 codebooks of 16 entries, the model expects 8 of 256"):
        check_export(export, mini(), tiny.recipe(export.directory).data)
