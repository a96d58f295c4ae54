"""DynamoDB stream records for tests: sample events, a builder, and hypothesis strategies."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jsonschema
from hypothesis import strategies as st

_HERE = Path(__file__).parent
EVENTS = _HERE / "events"
_SCHEMA_FILE = _HERE.parents[1] / "files" / "schema" / "cloudcdc.change-1.schema.json"
SCHEMA = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
DIGEST_SCHEMA = json.loads(_SCHEMA_FILE.with_name("cloudcdc.digest-1.schema.json").read_text(encoding="utf-8"))
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

FIRST_SECOND = 1767225600  # 2026-01-01T00:00:00Z
STREAM_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/{}/stream/2026-01-01T00:00:00.000"


def sample(name: str) -> dict:
    """The one record of a sample event."""
    (record,) = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))["Records"]
    return record


def validated(envelope: dict) -> dict:
    """The envelope, once the published JSON Schema has accepted it."""
    _VALIDATOR.validate(envelope)
    return envelope


def make_record(
    keys=None, *, old=None, new=None, number=10**20, created=FIRST_SECOND, view="NEW_AND_OLD_IMAGES", table="Items"
) -> dict:
    """A record as Lambda hands it over; which images there are decides the event name."""
    keys = keys or {"Id": {"S": "item"}}
    if old is None and new is None:
        new = keys
    change = {
        "ApproximateCreationDateTime": created,
        "Keys": keys,
        "SequenceNumber": str(number),
        "SizeBytes": 42,
        "StreamViewType": view,
    }
    if old is not None and view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        change["OldImage"] = old
    if new is not None and view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        change["NewImage"] = new
    return {
        "eventID": f"{number:032x}",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
        "eventSourceARN": STREAM_ARN.format(table),
    }


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def numbers():
    """Numbers as DynamoDB spells them: text of up to 38 significant digits."""
    whole = st.integers(min_value=-(10**38 - 1), max_value=10**38 - 1).map(str)
    fraction = st.builds("{}.{}".format, st.integers(0, 10**18), st.integers(1, 10**18))
    return st.one_of(whole, fraction, st.sampled_from(["0", "1E+125", "-1E-130", "9" * 38]))


def texts(min_size=0):
    # Delimiters of object names and logs, characters that SNS does not take, and anything else.
    return st.one_of(
        st.text(min_size=min_size, max_size=12),
        st.text(alphabet='-/ ."\\\n\x00\x7f\uffff\U0001f600é', min_size=min_size, max_size=12),
    )


def binaries(min_size=0):
    return st.binary(min_size=min_size, max_size=12).map(_b64)


def attribute_values():
    """Any value of a non-key attribute, nested ones too."""
    scalars = st.one_of(
        st.builds(lambda v: {"S": v}, texts()),
        st.builds(lambda v: {"N": v}, numbers()),
        st.builds(lambda v: {"B": v}, binaries()),
        st.builds(lambda v: {"BOOL": v}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda v: {"SS": v}, st.lists(texts(), min_size=1, max_size=3, unique=True)),
        st.builds(lambda v: {"NS": v}, st.lists(numbers(), min_size=1, max_size=3, unique=True)),
        st.builds(lambda v: {"BS": v}, st.lists(binaries(), min_size=1, max_size=3, unique=True)),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.builds(lambda v: {"L": v}, st.lists(inner, max_size=3)),
            st.builds(lambda v: {"M": v}, st.dictionaries(texts(1), inner, max_size=3)),
        ),
        max_leaves=4,
    )


KEY_VALUES = {"S": texts(1), "N": numbers(), "B": binaries(1)}
_ATTRIBUTES = st.dictionaries(texts(1), attribute_values(), max_size=2)


@st.composite
def key_schemas(draw):
    """Names and types of a table's key: hash-only or with a range key."""
    names = draw(st.lists(texts(1), min_size=1, max_size=2, unique=True))
    return {name: draw(st.sampled_from(sorted(KEY_VALUES))) for name in names}


@st.composite
def item_keys(draw, schema=None):
    """The key of one item, of a given key schema or of any."""
    schema = schema or draw(key_schemas())
    return {name: {kind: draw(KEY_VALUES[kind])} for name, kind in schema.items()}


@st.composite
def records(draw, schema=None, number=None, created=None):
    """One stream record of any kind; of a given key schema, sequence number or second when those are given."""
    keys = draw(item_keys(schema))
    old, new = {**draw(_ATTRIBUTES), **keys}, {**draw(_ATTRIBUTES), **keys}
    event = draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"]))
    record = make_record(
        keys,
        old=None if event == "INSERT" else old,
        new=None if event == "REMOVE" else new,
        number=number or draw(st.integers(10**20, 10**40 - 1)),
        created=created or draw(st.integers(FIRST_SECOND, FIRST_SECOND + 4 * 10**8)),
        view=draw(st.sampled_from(["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])),
    )
    if event == "REMOVE" and draw(st.booleans()):
        record["userIdentity"] = draw(
            st.sampled_from([sample(name)["userIdentity"] for name in ("ttl_remove", "ttl_remove_capitals")])
        )
    return record


@st.composite
def batches(draw, min_size=1, max_size=4):
    """The records of one batch: one key schema, sequence numbers rising, often of one hour, often of few items."""
    schema = draw(key_schemas())
    gaps = draw(st.lists(st.integers(1, 10**6), min_size=min_size, max_size=max_size))
    batch, number, created = [], 10**20, draw(st.integers(FIRST_SECOND, FIRST_SECOND + 4 * 10**8))
    for gap in gaps:
        number, created = number + gap, created + draw(st.sampled_from([0, 1, 1800]))
        record = draw(records(schema, number, created))
        if batch and draw(st.booleans()):
            record = _of_item(record, draw(st.sampled_from(batch))["dynamodb"]["Keys"])
        batch.append(record)
    return batch


def _of_item(record, keys):
    """The record as one of another item of the table."""
    change = dict(record["dynamodb"], Keys=keys)
    for image in ("OldImage", "NewImage"):
        if image in change:
            change[image] = {**change[image], **keys}
    return {**record, "dynamodb": change}
