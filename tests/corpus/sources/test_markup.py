from __future__ import annotations

import pytest

from rosella.corpus.sources.markup import parse_xml
from rosella.errors import UserError

BOMB = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;"><!ENTITY z "&y;&y;&y;&y;&y;&y;">]>
<a>&z;</a>"""
FETCHING = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'


def test_named_characters_are_known_without_a_dtd():
    content = '<?xml version="1.0"?><!DOCTYPE a SYSTEM "gone.dtd"><a>Belgi&euml; R&amp;B &amp;euml;</a>'
    assert parse_xml(content.encode()).text == "België R&B &euml;"


@pytest.mark.parametrize("content", [BOMB, FETCHING])
def test_a_document_that_defines_entities_is_refused(content):
    with pytest.raises(UserError, match="defines XML entities"):
        parse_xml(content.encode())
