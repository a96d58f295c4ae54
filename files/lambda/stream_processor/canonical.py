# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON with one spelling a value, so that the same event always gives the same bytes and the same hash."""

from __future__ import annotations

import json
import re
from typing import Any

# UTF-8 has no lone surrogates, and SNS takes only the characters of XML 1.0. In JSON they can be told as escapes,
# which loses nothing; the control characters that XML lacks are escaped by JSON already.
_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def to_json(value: Any) -> str:
    """Compact JSON: members sorted by name, characters as themselves wherever UTF-8 and SNS allow."""
    text = _encode(value)
    return text if text.isascii() else _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_bytes(value: Any) -> bytes:
    """The same, in UTF-8."""
    return to_json(value).encode("utf-8")
