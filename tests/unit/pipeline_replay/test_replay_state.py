"""A run that goes on knows where the one before it was, and takes no other file for that."""

from __future__ import annotations

import json
import stat

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.delivery import Position
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_replay.state import State
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from hypothesis import given
from hypothesis import strategies as st

HEADER = {"id": "one", "time": "2026-01-31T10:00:00Z", "to": "2026-01-31T10:00:00Z", "asked": {}}


def begun(folder) -> State:
    state = loaded(folder)
    state.begin(HEADER)
    return state


def loaded(folder) -> State:
    state = State(str(folder))
    state.load("Items-one")
    return state


def line(at: bytes, **failing: bytes):
    waiting = {name.encode(): (place, {"number": name}) for name, place in failing.items()}
    return Position(at, failing=waiting).line()


def test_a_run_may_begin_more_than_once_before_it_sends(tmp_path):
    state = State(str(tmp_path))
    state.load("one")
    state.begin(HEADER)
    state.begin(HEADER)
    state.close()

    again = State(str(tmp_path))
    again.load("one")
    assert again.header == {"schema": "cloudcdc.replay/1", **HEADER}


def test_it_begins_with_nothing_and_goes_on_with_what_was_written(tmp_path):
    state = begun(tmp_path / "made")
    assert state.positions == {}
    state.write(0, line(b"1"))
    state.write(2, line(b"5", a=b"3"))
    state.write(0, line(b"2"))
    state.close()

    found = loaded(tmp_path / "made")

    assert found.header == {"schema": "cloudcdc.replay/1", **HEADER}
    assert {lane: position.at for lane, position in found.positions.items()} == {0: b"2", 2: b"5"}
    assert found.positions[2].retrying == {b"a": (b"3", {"number": "a"})}
    assert found.end is None


def test_the_file_is_its_owners_only(tmp_path):
    begun(tmp_path).close()
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name == "Items-one.state"


@given(cut=st.integers(1, 400))
def test_half_a_line_at_the_end_is_not_counted_and_cut_off_when_the_run_goes_on(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("state")
    state = begun(folder)
    for number in range(5):
        state.write(number % 2, line(b"%d" % number, a=b"1"))
    state.close()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    left = whole[: max(0, len(whole) - cut)]
    file.write_bytes(left)

    state = loaded(folder)
    assert file.read_bytes() == left, "a run that only looks writes nothing"
    kept = left[: left.rfind(b"\n") + 1]
    assert sorted(state.positions) == list(range(min(2, max(0, kept.count(b"\n") - 1))))
    state.begin(HEADER)
    state.write(7, line(b"9"))
    state.close()

    assert loaded(folder).positions[7].at == b"9"
    assert file.read_bytes().startswith(kept)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.dictionaries(st.sampled_from("abcd"), st.sampled_from([b"1", b"2"]))), max_size=12
)


@given(steps=STEPS, stops=st.sets(st.integers(0, 12)))
def test_what_fails_is_known_though_each_line_holds_only_news(tmp_path_factory, steps, stops):
    folder = tmp_path_factory.mktemp("state")
    state, last = begun(folder), {}
    for number, (lane, failing) in enumerate(steps):
        if number in stops:
            state.close()
            state = begun(folder)
        last[lane] = {name.encode(): (place, {"number": name}) for name, place in failing.items()}
        state.write(lane, line(b"%d" % number, **failing))
    state.close()

    assert {lane: position.retrying for lane, position in loaded(folder).positions.items()} == last


def test_a_failure_that_stays_is_written_once(tmp_path):
    state = begun(tmp_path)
    for number in range(50):
        state.write(0, line(b"%d" % number, a=b"1"))
    state.close()
    (file,) = tmp_path.iterdir()
    assert file.read_text().count('"number":"a"') == 1


def test_a_run_that_came_to_its_end_says_so(tmp_path):
    state = begun(tmp_path)
    state.finish({"counts": {"INSERT": 3}})
    state.close()
    assert loaded(tmp_path).end == {"counts": {"INSERT": 3}}


@pytest.mark.parametrize(
    "content",
    [
        b'{"schema":"other/1"}\n',
        b"no JSON\n",
        b"\xff\xfe\n",
        b"[1]\n",
        b'{"schema":"cloudcdc.replay/1"}\n',
        json.dumps({"schema": "cloudcdc.replay/1", **HEADER}).encode() + b"\n[]\n",
        json.dumps({"schema": "cloudcdc.replay/1", **HEADER}).encode() + b'\n{"lane":0,"at":"xy"}\n',
    ],
)
def test_another_file_of_the_name_is_refused_and_left(tmp_path, content):
    file = tmp_path / "Items-one.state"
    file.write_bytes(content)
    with pytest.raises(InputError, match="is not the state of a replay. Give another replay_id, or remove the file"):
        loaded(tmp_path)
    assert file.read_bytes() == content


def test_two_runs_of_one_replay_do_not_go_on_at_once(tmp_path):
    first = begun(tmp_path)
    second = loaded(tmp_path)
    with pytest.raises(InputError, match="Another run of replay one is under way"):
        second.begin(HEADER)
    first.close()
    second = loaded(tmp_path)
    second.begin(HEADER)


def test_a_run_that_looked_before_another_went_on_does_not_go_on_from_there(tmp_path):
    begun(tmp_path).close()
    late, other = loaded(tmp_path), loaded(tmp_path)
    other.begin(HEADER)
    other.write(0, line(b"1"))
    other.close()

    with pytest.raises(InputError, match="Another run of replay one"):
        late.begin(HEADER)
    assert loaded(tmp_path).positions[0].at == b"1"


def test_without_a_folder_nothing_is_remembered_and_nothing_written(tmp_path):
    state = State(None)
    state.load("x")
    state.begin(HEADER)
    state.write(0, line(b"1"))
    state.finish({})
    state.close()
    assert state.header is None
