"""Compares a pipeline's table with another one and removes that: `python tests/same_items.py OUTPUTS.json TABLE`.

As the local cloud's administrator. Fails when an item is in one of them only, or differs; sets have no order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import boto3


def comparable(value: Any) -> Any:
    """The same for equal items."""
    if isinstance(value, dict):
        return {
            name: sorted(each, key=repr) if name in ("SS", "NS", "BS") else comparable(each)
            for name, each in value.items()
        }
    return [comparable(each) for each in value] if isinstance(value, list) else value


def items(client: Any, table: str) -> dict[str, Any]:
    """The table's items by their keys."""
    schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    names = sorted(each["AttributeName"] for each in schema)
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {repr([item[name] for name in names]): comparable(item) for page in pages for item in page["Items"]}


def main(argv: list[str]) -> None:
    outputs, other = json.loads(Path(argv[0]).read_text()), argv[1]
    client = boto3.client(
        "dynamodb",
        endpoint_url=outputs["endpoint_url"],
        region_name=outputs["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    one, two = items(client, outputs["table_name"]), items(client, other)
    differing = [key for key in one.keys() | two.keys() if one.get(key) != two.get(key)]
    client.delete_table(TableName=other)
    sys.exit(f"{len(differing)} of {len(one)} items differ" if differing or not one else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
