"""DynamoDB JSON as plain values: nothing is lost but the order that sets do not have."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from stream_processor.rules.untyped import Image, untyped

from tests.unit.stream_processor.rules.plain_values import typed
from tests.unit.stream_records import attribute_values, binaries, numbers, texts

_SCALARS = texts() | st.booleans() | st.none() | st.integers(-(10**38), 10**38) | numbers().map(Decimal)
_PLAIN = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(1), inner, max_size=3), max_leaves=6
)


@given(_PLAIN)
def test_plain_values_come_back_from_dynamodb_json(value):
    assert untyped(typed(value)) == value


@given(numbers())
def test_a_number_is_exactly_what_it_spells(text):
    assert Fraction(untyped({"N": text})) == Fraction(text)


@given(st.data(), st.sampled_from([("SS", texts()), ("NS", numbers()), ("BS", binaries())]))
def test_the_order_of_a_sets_members_does_not_matter(data, of):
    kind, member = of
    members = data.draw(st.lists(member, min_size=1, max_size=4, unique=True))
    found = untyped({kind: members})
    assert found == untyped({kind: data.draw(st.permutations(members))})
    assert len(found) == len(members) and found == sorted(found)


@given(st.dictionaries(texts(1), attribute_values(), max_size=3))
def test_an_image_reads_as_its_map_would(attributes):
    image, plain = Image(attributes), untyped({"M": attributes})
    assert {name: image.get(name) for name in image} == plain and len(image) == len(plain)
    assert image.get("none of these") is None


def test_an_attribute_is_made_plain_only_when_it_is_asked_for():
    image = Image({"A": {"N": "1"}, "B": "not DynamoDB JSON"})
    assert image.get("A") == 1
