from __future__ import annotations

import pytest

from asr.prepare.sources import EAF
from rosella.corpus.sources import elan
from rosella.errors import UserError


def test_what_refers_to_an_annotation_has_its_time():
    document = elan.parse(EAF.encode())
    gloss = next(tier for tier in document.tiers if tier.name == "A_gloss")
    assert (gloss.parent, gloss.participant) == ("A_orth", "Anna")
    assert gloss.annotations == (elan.Annotation("a2", "what did you say", (0.5, 2.5)),)
    assert document.media == ("./my%20talk.wav", "file:///C:/Users/a/my%20talk.wav")
    assert document.properties == {"lastUsedAnnotationId": "4"}


@pytest.mark.parametrize("reference", ["a2", "gone"])
def test_what_refers_to_itself_or_nothing_has_no_time(reference):
    content = EAF.replace('ANNOTATION_REF="a1"', f'ANNOTATION_REF="{reference}"').encode()
    (annotation,) = next(tier for tier in elan.parse(content).tiers if tier.name == "A_gloss").annotations
    assert annotation.span is None


def test_a_time_that_is_none_is_named():
    with pytest.raises(UserError, match=r"no time where one belongs \(later\)"):
        elan.parse(EAF.replace('TIME_VALUE="2500"', 'TIME_VALUE="later"').encode())
