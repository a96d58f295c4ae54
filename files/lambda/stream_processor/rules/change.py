# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What expressions look at: a change as it is named there, made from its envelope when it is asked for."""

from __future__ import annotations

from typing import Any

from .untyped import Image

_IMAGES = {"keys": "keys", "old": "oldImage", "new": "newImage"}
_AS_THEY_ARE = ("eventName", "table", "timestamp")


class Change(Image):
    """The roots of an expression. A root that the change does not have is null."""

    __slots__ = ("envelope",)

    def __init__(self, envelope: dict[str, Any]):
        super().__init__({})
        self.envelope = envelope

    def get(self, name: str) -> Any:
        """The root of this name, made once."""
        if name not in self._plain:
            self._plain[name] = self._root(name)
        return self._plain[name]

    def _root(self, name: str) -> Any:
        if name in _IMAGES:
            image = self.envelope.get(_IMAGES[name])
            return None if image is None else Image(image)
        if name in _AS_THEY_ARE:
            return self.envelope[name]
        if name == "expired":
            return is_expiry(self.envelope)
        return self.envelope.get("changedAttributes", [])


def is_expiry(envelope: dict[str, Any]) -> bool:
    """Whether DynamoDB's time to live deleted the item. The names in userIdentity occur in both casings."""
    identity = envelope.get("userIdentity", {})
    kind = identity.get("type", identity.get("Type"))
    principal = identity.get("principalId", identity.get("PrincipalId"))
    return envelope["eventName"] == "REMOVE" and (kind, principal) == ("Service", "dynamodb.amazonaws.com")
