"""XML as annotation programs write it, read without its DTD and without anything that a document could define or fetch."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html import unescape

from rosella.errors import UserError

_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w+;")
_DEFINITION = "<!ENTITY"


def parse_xml(content: bytes) -> ElementTree.Element:
    """The root of an XML document. Named characters such as `&euml;` are known without the document's DTD.

    A document that defines entities of its own is refused: they can grow without end and name other files.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = (
        text[text.find("?>") + 2 :] if text.startswith("<?xml") else text
    )  # it is decoded: no encoding holds
    if _DEFINITION in text:
        raise UserError("annotation defines XML entities, which are not read: save it without them")
    try:
        return ElementTree.fromstring(_ENTITY.sub(lambda match: unescape(match[0]), text))
    except ElementTree.ParseError as error:
        raise UserError(f"annotation is not valid XML ({error})") from None
