# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a replay asks of AWS, and about what that costs. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .options import FUNCTION, QUEUE, TABLE, TOPIC, VERIFY, Options

#: US dollars a million requests in us-east-1, as listed in 2026. What a function's run time costs is not in it.
#: https://aws.amazon.com/s3/pricing/ https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/dynamodb/pricing/
#: https://aws.amazon.com/sqs/pricing/ https://aws.amazon.com/sns/pricing/
PRICES = {
    "s3_get": 0.40,
    "s3_list": 5.00,
    "lambda_invoke": 0.20,
    "dynamodb_write_units": 0.625,
    "dynamodb_read_units": 0.125,
    "sqs_send": 0.40,
    "sns_publish": 0.50,
}
_KB = 1024


def estimate(
    options: Options, selected: Mapping[str, int], size: int, calls: Mapping[str, int], states: int
) -> dict[str, Any]:
    """Requests by kind, and their price in US dollars. ``size`` is that of the changes, ``states`` counts items."""
    count = sum(selected.values())
    requests = {"s3_get": calls.get("GetObject", 0), "s3_list": calls.get("ListObjectsV2", 0)}
    average = size / count if count else 0
    if options.target == FUNCTION:
        # Small batches at the lanes' ends come on top.
        requests["lambda_invoke"] = math.ceil(count / options.batch_size)
    elif options.target == TABLE:
        requests["dynamodb_write_units"] = states * max(1, math.ceil(average / 2 / _KB))
    elif options.target == VERIFY:
        requests["dynamodb_read_units"] = states * max(1, math.ceil(average / 2 / (4 * _KB)))
    elif options.target == QUEUE:
        # Each 64 KB of a call count as a request.
        requests["sqs_send"] = max(math.ceil(count / 10), math.ceil(size / (64 * _KB)))
    elif options.target == TOPIC:
        requests["sns_publish"] = max(count, math.ceil(size / (64 * _KB)))
    price = sum(number * PRICES[name] / 1_000_000 for name, number in requests.items())
    return {"requests": requests, "usd": round(price, 4)}
