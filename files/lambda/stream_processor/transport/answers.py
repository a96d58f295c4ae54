# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS's answers: XML of a few elements. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat


class BadAnswer(ValueError):
    """An answer that is not what AWS sends; says nothing of what it was instead."""


@dataclass
class Element:
    """An XML element without its attributes; ``text`` is all text right in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, *path: str) -> Element | None:
        """The first element at the path below this one."""
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None)
            if found is None:
                break
        return found

    def texts(self) -> dict[str, str]:
        """The texts of the children by their names."""
        return {child.name: child.text.strip() for child in self.children}


def parse(body: bytes) -> Element:
    """The answer's root element, or BadAnswer."""
    top = Element("")
    path = [top]

    def start(name: str, _attributes: dict[str, str]) -> None:
        element = Element(name)
        path[-1].children.append(element)
        path.append(element)

    def text(data: str) -> None:
        path[-1].text += data

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, UnicodeError, LookupError):
        raise BadAnswer("not XML") from None
    return top.children[0]


def error_told(status: int, body: bytes) -> tuple[str, str]:
    """AWS's code and message of an error; where the answer has none, as with an empty body, its status is the code."""
    try:
        root = parse(body)
    except BadAnswer:
        return str(status), ""
    # S3's root is Error, SNS's has one.
    error = root if root.name == "Error" else root.find("Error")
    told = error.texts() if error else {}
    return told.get("Code") or str(status), told.get("Message", "")


def _refuse_doctype(*_unused: object) -> None:
    raise BadAnswer("a document type")  # AWS sends none, and entities of one could grow without bounds
