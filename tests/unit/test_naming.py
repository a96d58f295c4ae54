"""Derived names: stable, within AWS's limits, never shared by two pipelines."""

from __future__ import annotations

import re

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.naming import derived_name
from hypothesis import given
from hypothesis import strategies as st

words = st.text("abcxyzABC019_-", min_size=1, max_size=40).filter(lambda w: w[0] not in "-_")


def test_a_short_name_is_its_parts_joined():
    assert derived_name("UserActivities", ["cdc", "dev", "orders"], 255) == "UserActivities-cdc-dev-orders"


def test_a_long_name_keeps_its_head_and_ends_in_the_hash_of_the_whole():
    name = derived_name("dynamodb-stream-role", ["a" * 30, "production", "orders"], 64)
    assert len(name) == 64
    assert re.fullmatch(r"dynamodb-stream-role-a{30}-pro-[0-9a-f]{8}", name), name


def test_bucket_names_of_orders_eu_in_either_spelling_differ():
    args = {"limit": 63, "dns": True}
    assert derived_name("audit", ["orders_eu"], **args) != derived_name("audit", ["orders-eu"], **args)


@given(base=words, parts=st.lists(words, max_size=5), limit=st.integers(20, 80), dns=st.booleans())
def test_names_stay_within_the_limit_and_the_allowed_characters(base, parts, limit, dns):
    name = derived_name(base, parts, limit, dns)
    assert 0 < len(name) <= limit
    if dns:
        assert re.fullmatch(r"[a-z0-9-]+", name)
    assert name == derived_name(base, list(parts), limit, dns)


@given(base=words, one=words, other=words, limit=st.integers(20, 80), dns=st.booleans())
def test_pipelines_that_differ_in_their_own_name_never_share_one(base, one, other, limit, dns):
    assert (derived_name(base, [one], limit, dns) == derived_name(base, [other], limit, dns)) == (one == other)
