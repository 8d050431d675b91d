from __future__ import annotations

import pytest

from parity.learnt import CONFIG, quiet
from rosella.errors import UserError
from rosella.parity.trace import make_inputs
from rosella.parity.transformers_trace import trace_folder

pytestmark = pytest.mark.parity


def test_a_processor_that_may_not_be_run_or_does_not_fit_is_refused(spoilt):
    (spoilt / "processing_rosella.py").write_text("print('anything')")
    with pytest.raises(UserError, match="is not this version's"):
        trace_folder(spoilt, make_inputs(CONFIG, 1), "float32", quiet)
    (spoilt / "processing_rosella.py").unlink()
    with pytest.raises(UserError, match="knows only Dia-1.6B's delays"):
        trace_folder(spoilt, make_inputs(CONFIG, 1), "float32", quiet)
