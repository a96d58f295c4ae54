"""What modules say of options that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import option_checks
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.plan import InputError
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(-5, 15), st.sampled_from([10, None]))
def test_what_is_out_of_its_range_is_refused_with_the_range(value, most):
    inside = value >= 1 and (most is None or value <= most)
    if inside:
        option_checks.check_ranges({"lanes": value}, {"lanes": (1, most)})
        return
    with pytest.raises(InputError) as caught:
        option_checks.check_ranges({"lanes": value}, {"lanes": (1, most)})
    wanted = "from 1 to 10" if most else "1 or more"
    assert str(caught.value) == f"lanes must be {wanted}, not {value}."


@given(st.datetimes(), st.datetimes())
def test_a_range_of_time_is_read_or_holds_none(one, other):
    params = {"from": one.isoformat(), "to": f"{other.isoformat()}+00:00"}
    if one <= other:
        wanted = tuple(each.replace(tzinfo=UTC) for each in (one, other))
        assert option_checks.read_range(params) == wanted
    else:
        with pytest.raises(InputError, match="the range holds no time"):
            option_checks.read_range(params)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", 7])
def test_what_is_no_time_is_refused_by_name(text):
    with pytest.raises(InputError, match="to must be a time in ISO 8601"):
        option_checks.read_range({"from": None, "to": text})


def test_times_that_are_left_out_are_none():
    assert option_checks.read_range({"from": None, "to": ""}) == (None, None)
    assert option_checks.read_moment(None) is None
    assert option_checks.read_moment("2026-01-31T14:00:00+02:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_prefix_is_a_folder():
    option_checks.check_prefix("audit_prefix", "audit-logs/")
    with pytest.raises(InputError, match="audit_prefix must end with a slash"):
        option_checks.check_prefix("audit_prefix", "audit-logs")
