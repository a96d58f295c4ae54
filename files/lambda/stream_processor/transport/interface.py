# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the processor needs of AWS, and what it gives and gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .forms import form_encode


class TransportError(Exception):
    """A call failed for good. AWS's message may name objects, so it is kept and not part of the exception's text.

    ``error_type`` is "ClientError" where AWS answered with an error, and ``aws_code`` and ``aws_message`` are then its
    own. Otherwise it is one of ConnectionError, Timeout, OutOfTime, InvalidResponse, CertificateError, InvalidCABundle,
    InvalidEndpoint, NoCredentials and NoRegion.
    """

    def __init__(self, error_type: str, aws_code: str = "", aws_message: str = ""):
        super().__init__(f"{error_type} {aws_code}".strip())
        self.error_type = error_type
        self.aws_code = aws_code
        self.aws_message = aws_message


@dataclass(frozen=True)
class Order:
    """What a FIFO topic orders by, and what it knows a message by that it was sent before."""

    group: str
    deduplication_id: str


@dataclass(frozen=True)
class Message:
    """One notification; every attribute is a String, and an empty subject is left out."""

    text: str
    subject: str
    attributes: dict[str, str]
    order: Order | None = None
    #: The text as it is sent, made at once: messages are made while others wait for AWS, and sent when nobody does.
    encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoded", form_encode(self.text))


class Transport(Protocol):
    """Both calls may be made by many threads at once, and both end by ``deadline``, a value of time.monotonic()."""

    def put_object_if_absent(self, bucket: str, key: str, body: bytes, content_type: str, deadline: float) -> bool:
        """Write the object: True when it was written, False when there is one of that name already."""

    def publish(self, topic_arn: str, messages: Sequence[Message], deadline: float) -> list[TransportError | None]:
        """Publish 1 to 10 messages: an answer for each, in their order, None where it was accepted.

        Never raises TransportError. Messages of one FIFO group do not belong together in a call: one of them may be
        accepted while the one before it is tried again.
        """
