"""Random changes of a table: inserts, updates, deletes and re-creations, of every attribute type.

`python tests/random_changes.py OUTPUTS.json COUNT [SEED]` makes COUNT changes in a pipeline's table.
"""

from __future__ import annotations

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3

WRITERS = 4


def value(source: random.Random, depth: int = 0) -> dict[str, Any]:
    """An attribute value of a random type."""
    kind = source.choice(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", *(["L", "M"] if depth < 2 else [])])
    if kind == "S":
        return {
            "S": source.choice(["", "plain", "ünï-cødé 🎈", 'quote " slash / line\n', "x" * source.randint(0, 300)])
        }
    if kind == "N":
        return {"N": source.choice(["0", "-1", "3.14", "1E+20", str(source.randint(-(10**37), 10**37))])}
    if kind == "B":
        return {"B": source.randbytes(source.randint(0, 40))}
    if kind == "BOOL":
        return {"BOOL": source.random() < 0.5}
    if kind == "NULL":
        return {"NULL": True}
    if kind == "SS":
        return {"SS": [f"s{number}" for number in source.sample(range(50), source.randint(1, 5))]}
    if kind == "NS":
        return {"NS": [str(number) for number in source.sample(range(50), source.randint(1, 5))]}
    if kind == "BS":
        return {"BS": [bytes([number]) for number in source.sample(range(50), source.randint(1, 5))]}
    members = [value(source, depth + 1) for _each in range(source.randint(0, 3))]
    return {"L": members} if kind == "L" else {"M": {f"m{place}": member for place, member in enumerate(members)}}


def key(kind: str, number: int) -> dict[str, Any]:
    """A key value; the same number always gives the same key."""
    text = f"item {number}/ä"
    return {"S": {"S": text}, "N": {"N": str(number)}, "B": {"B": text.encode()}}[kind]


def items_keys(table: dict[str, Any], count: int) -> list[dict[str, Any]]:
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    names = [each["AttributeName"] for each in table["KeySchema"]]
    return [{name: key(kinds[name], number) for name in names} for number in range(count)]


def make(client: Any, table_name: str, count: int, items: int, seed: int, large: float = 0) -> None:
    """So many changes over so many items. Those of one item are made one after the other, by one writer.

    ``large`` is the share of changes that leave an item of nearly the 400 KB that DynamoDB takes.
    """
    keys = items_keys(client.describe_table(TableName=table_name)["Table"], items)

    def write(writer: int) -> None:
        source = random.Random(f"{seed}/{writer}")
        mine, there = keys[writer::WRITERS], set()
        for _change in range(len(range(writer, count, WRITERS))):
            place = source.randrange(len(mine))
            # A deletion of an item that is not there would be no change, and an item is never put twice the same.
            if place in there and source.random() < 0.3:
                client.delete_item(TableName=table_name, Key=mine[place])
                there.discard(place)
                continue
            attributes = {f"a{number}": value(source) for number in range(source.randint(0, 4))}
            attributes["nonce"] = {"S": f"{source.getrandbits(64):x}"}
            if source.random() < large:
                attributes["blob"] = {"B": source.randbytes(380_000)}
            client.put_item(TableName=table_name, Item={**attributes, **mine[place]})
            there.add(place)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))


def main(argv: list[str]) -> None:
    outputs = json.loads(Path(argv[0]).read_text())
    client = boto3.client(
        "dynamodb",
        endpoint_url=outputs["endpoint_url"],
        region_name=outputs["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    count, seed = int(argv[1]), int(argv[2]) if len(argv) > 2 else 1
    make(client, outputs["table_name"], count, max(WRITERS, count // 10), seed)


if __name__ == "__main__":
    main(sys.argv[1:])
