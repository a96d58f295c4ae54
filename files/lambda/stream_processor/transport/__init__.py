# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The calls the function makes to AWS: S3 PutObject, SNS Publish and PublishBatch. Standard library only.

The processor knows ``Transport``; how it is spoken is decided behind it: ``client`` makes the calls, ``s3`` and
``sns`` are their shapes, ``answers`` reads what comes back, ``retries`` says what is tried again, ``sigv4`` signs,
``endpoints`` says where to, ``http`` holds the connections.
"""

from .client import AwsTransport
from .interface import Message, Order, Transport, TransportError

__all__ = ["AwsTransport", "Message", "Order", "Transport", "TransportError"]
