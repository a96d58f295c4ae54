"""Whole drills, phase by phase: what they prove, what they find wrong, what they leave."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.items import predicted_record
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from stream_processor.envelope import to_envelope
from stream_processor.rules import load_rules

from tests.unit.pipeline_drill.drill_support import ARRIVED, STREAM, UNDELIVERED, World, failure_record


@pytest.fixture
def world(monkeypatch) -> World:
    return World(monkeypatch)


def parts(drill) -> list[tuple[str, bool, bool]]:
    return [(change["part"], change["audited"], change["redriven"]) for change in drill["changes"]]


def test_a_poison_drill_passes_with_one_failure_record_among_healthy_changes(world):
    drill = world.through()

    assert drill["problems"] == []
    healthy = ("healthy", True, False)
    assert parts(drill) == [healthy, healthy, ("poison", True, True), healthy, healthy]
    assert [record["batch_size"] for record in drill["failure_records"]] == [1]
    assert set(drill["durations"]) == {"to_destination", "to_alarm", "to_recovery", "to_quiet_alarm", "total"}
    assert drill["cleaned"] and world.nothing_left()


def test_a_drill_passes_with_one_object_a_batch_too(world):
    world.layout = "per_batch"
    drill = world.through()

    assert drill["problems"] == []
    healthy = ("healthy", True, False)
    assert parts(drill) == [healthy, healthy, ("poison", True, True), healthy, healthy]
    assert {change["audit_key"].rpartition(".")[2] for change in drill["changes"]} == {"gz"}
    assert world.nothing_left()


def test_objects_of_a_batch_are_read_once_and_only_where_they_may_hold_what_is_sought(world):
    world.layout = "per_batch"
    for number in (7, 9999):
        record = predicted_record("INSERT", {"Id": {"S": "theirs"}}, None, {"Id": {"S": "theirs"}}, STREAM, world.utc())
        record["eventID"] = "theirs"
        record["dynamodb"].update(SequenceNumber=str(number), SizeBytes=1)
        world.put(record)
    theirs = set(world.audit)
    drill = world.run("prepare")
    world.configure(drill)
    world.run("fail", drill)

    batches = [key for key in world.reads if key.endswith(".gz")]
    assert sorted(batches) == sorted(set(world.audit) - theirs)


def test_a_healthy_change_that_the_redrive_brings_along_is_no_fault_in_batches(world, monkeypatch):
    """With lanes, the range of a failure record may hold changes that were done; per_batch then has a second copy."""
    world.layout = "per_batch"

    def redrive_neighbours_too():
        mark = {"redrive": {"id": "1", "time": "2026-01-01T00:00:00Z"}}
        world.put(*({**record, **mark} for record in world.stream))
        world.failed, world.records = [], []
        world.alarms[ARRIVED]["StateValue"] = "OK"

    monkeypatch.setattr(world, "redrive", redrive_neighbours_too)
    drill = world.through()

    assert drill["problems"] == []
    assert [change["redriven"] for change in drill["changes"]] == [True] * 5


def test_a_healthy_change_that_only_the_redrive_brought_is_a_fault(world, monkeypatch):
    world.layout = "per_batch"

    def lose_and_redrive():
        world.audit.clear()
        mark = {"redrive": {"id": "1", "time": "2026-01-01T00:00:00Z"}}
        world.put(*({**record, **mark} for record in world.stream))
        world.failed, world.records = [], []
        world.alarms[ARRIVED]["StateValue"] = "OK"

    monkeypatch.setattr(world, "redrive", lose_and_redrive)
    drill = world.through()

    assert sum("is healthy, and was redriven" in problem for problem in drill["problems"]) == 4


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_an_audit_object_that_cannot_be_read_is_named(world, monkeypatch, layout):
    world.layout = layout
    drill = world.run("prepare")
    world.configure(drill)
    put = world.put

    def put_damaged(*records):
        put(*records)
        world.audit.update(dict.fromkeys(world.audit, b"no longer"))

    monkeypatch.setattr(world, "put", put_damaged)
    drill = world.run("fail", drill)

    assert any(f"the audit object {key} is damaged" in problem for key in world.audit for problem in drill["problems"])


def test_an_audit_object_of_another_sequence_number_than_the_streams_is_found(world, monkeypatch):
    world.layout = "per_batch"
    put = world.put

    def put_another(record):
        number = str(int(record["dynamodb"]["SequenceNumber"]) + 1000)
        put(record, {**record, "dynamodb": {**record["dynamodb"], "SequenceNumber": number}})

    monkeypatch.setattr(world, "put", put_another)
    drill = world.through()

    assert any("sequenceNumber is not that of the stream" in problem for problem in drill["problems"])


RULES = [{"when": "new.status == 'paid'", "audit": {"mask": ["status"]}}, {"event_names": ["REMOVE"], "sinks": []}]


def test_a_drill_passes_under_rules_that_redact_its_items_and_keep_their_removal_out_of_the_log(world, monkeypatch):
    put, rules = world.put, load_rules(RULES)

    def put_by_the_rules(*records):
        for record in records:
            envelope = to_envelope(record)
            decision = rules.decide(envelope)
            if decision.audit:
                image = decision.audited(envelope)["newImage"]
                put({**record, "dynamodb": {**record["dynamodb"], "NewImage": image}})

    monkeypatch.setattr(world, "put", put_by_the_rules)
    drill = world.through(rules=RULES, item_attributes={"status": {"S": "paid"}})

    assert drill["problems"] == []
    assert all(change["audited"] for change in drill["changes"])


@pytest.mark.parametrize("rule", [{"sinks": ["notify"]}, {"sample": 0.5, "sinks": []}])
def test_rules_that_keep_the_drills_items_out_of_the_audit_log_are_refused_before_the_first_write(world, rule):
    with pytest.raises(InputError, match="The rules do not let the drill's items into the audit log for certain"):
        world.run("prepare", rules=[rule])

    assert (world.stream, world.queues) == ([], [])


def test_a_break_drill_passes_with_every_change_failed_and_redriven(world):
    drill = world.through(mode="break", healthy_items=2)

    assert drill["problems"] == []
    assert parts(drill) == [("victim", True, True)] * 3
    assert world.nothing_left()


def test_a_drill_can_run_again_at_once(world):
    first, second = world.through(), world.through()

    assert first["problems"] == second["problems"] == []
    assert first["id"] != second["id"]


def test_nothing_that_a_phase_returns_holds_a_key(world):
    drill = world.run("prepare")
    world.configure(drill)
    told = json.dumps(world.run("fail", drill))

    assert len(world.items) == 5
    for keys in world.items.values():
        assert json.dumps(keys["Id"]["S"])[1:-1] not in told


def test_check_mode_says_what_it_would_do_and_writes_nothing(world):
    message = world.phase("prepare").preview()

    assert message.startswith("Would insert 5 item(s) into the table Orders, let 1 of these changes fail")
    assert (world.stream, world.queues, world.subscriptions) == ([], [], [])


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"DestinationConfig": {"OnFailure": {}}}, "has no on-failure destination"),
        ({"MaximumRetryAttempts": -1}, "set maximum_retry_attempts to 0 or more"),
        ({"BisectBatchOnFunctionError": False}, "set bisect_batch_on_function_error"),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"dynamodb": {"NewImage": {"status": {"S": ["paid"]}}}}'}]}},
            "ddb_stream_pipeline_verify_item_attributes",
        ),
    ],
    ids=["no-destination", "endless-retries", "no-bisect", "filters"],
)
def test_a_mapping_that_cannot_be_drilled_is_refused_before_the_first_write(monkeypatch, mapping, reason):
    world = World(monkeypatch, **mapping)

    with pytest.raises(InputError, match=reason):
        world.run("prepare")

    assert (world.stream, world.queues) == ([], [])


def test_batches_of_one_need_no_bisect_and_a_broken_function_needs_none_either(monkeypatch):
    assert World(monkeypatch, BisectBatchOnFunctionError=False, BatchSize=1).through()["problems"] == []
    assert World(monkeypatch, BisectBatchOnFunctionError=False).through(mode="break")["problems"] == []


def test_item_attributes_get_the_drills_items_through_the_filters(monkeypatch):
    pattern = '{"dynamodb": {"NewImage": {"status": {"S": ["paid"]}}}}'
    world = World(monkeypatch, FilterCriteria={"Filters": [{"Pattern": pattern}]})

    world.run("prepare", item_attributes={"status": {"S": "paid"}})

    assert world.queues


def test_another_drill_in_the_functions_environment_is_refused_by_its_id(world):
    world.environment = {"DRILL_ID": "0123456789abcdef"}

    with pytest.raises(InputError, match="failure drill 0123456789abcdef.*run playbooks/deploy.yml"):
        world.run("prepare")


@pytest.mark.parametrize("name", [ARRIVED, UNDELIVERED])
def test_an_alarm_that_stays_in_alarm_is_refused_after_the_wait(world, name):
    world.alarms[name]["StateValue"] = "ALARM"

    with pytest.raises(InputError, match=f"The alarm {name} is in ALARM, and still was after 120 s"):
        world.run("prepare")

    assert world.seconds >= 120
    assert (world.stream, world.queues) == ([], [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"ActionsEnabled": False}, "does not send to"), ({"AlarmActions": []}, "does not send to")],
)
def test_an_alarm_that_would_tell_nobody_is_refused(world, change, reason):
    world.alarms[ARRIVED].update(change)

    with pytest.raises(InputError, match=reason):
        world.run("prepare")


def test_a_function_without_the_drills_id_is_not_written_to(world):
    drill = world.run("prepare")

    with pytest.raises(InputError, match="it is not set up for this drill"):
        world.run("fail", drill)

    assert world.stream == []


def test_a_poison_that_is_processed_is_found(world):
    drill = world.run("prepare")
    world.environment = {"DRILL_ID": drill["id"]}
    drill = world.run("fail", drill)

    assert any("was to fail, and was processed" in problem for problem in drill["problems"])


def test_a_healthy_change_that_is_not_processed_is_found(world):
    drill = world.run("prepare")
    world.configure({**drill, "mode": "break"})
    drill = world.run("fail", drill)

    assert sum("is healthy and was not processed" in problem for problem in drill["problems"]) == 4
    assert sum("is healthy, and a failure record names it" in problem for problem in drill["problems"]) == 4


def test_a_failure_record_that_holds_more_than_the_poison_is_found(world, monkeypatch):
    drill = world.run("prepare")
    world.configure(drill)
    fail = world.fail

    def fail_with_neighbours(record):
        fail(record)
        world.records = [failure_record(each.first - 1, each.last + 1) for each in world.records]

    monkeypatch.setattr(world, "fail", fail_with_neighbours)
    drill = world.run("fail", drill)

    assert any("must have one failure record with batchSize 1, and has batchSize 3" in it for it in drill["problems"])
    assert any("is healthy, and a failure record names it" in problem for problem in drill["problems"])


def test_failure_records_of_others_are_counted_and_no_problem(world):
    drill = world.run("prepare")
    world.configure(drill)
    world.records.append(failure_record(1, 7))
    drill = world.run("fail", drill)

    assert (drill["problems"], drill["other_changes"]) == ([], 7)
    assert len(drill["failure_records"]) == 1


@pytest.mark.parametrize("mode", ["poison", "break"])
def test_what_cannot_be_delivered_fails_the_drill_and_is_named(world, mode):
    world.deliverable = False
    drill = world.through(mode=mode)

    failing = 1 if mode == "poison" else 5
    assert any(f"The alarm {UNDELIVERED} went off" in problem for problem in drill["problems"])
    assert len(drill["dropped"]) == failing
    assert all(change["sequence_number"] and change["event_name"] == "INSERT" for change in drill["dropped"])
    told = next(problem for problem in drill["problems"] if problem.startswith("Dropped"))
    assert all(change["item"] in told for change in drill["dropped"])
    assert world.nothing_left()


def test_an_alarm_that_does_not_go_off_fails_the_drill(world, monkeypatch):
    monkeypatch.setattr(world, "state", lambda _name: "OK")
    world.message_comes = False
    drill = world.through()

    assert any(f"The alarm {ARRIVED} did not go off within 120 s" in problem for problem in drill["problems"])
    assert any(f"No message of the alarm {ARRIVED}" in problem for problem in drill["problems"])


def test_a_message_that_does_not_come_fails_the_drill(world):
    world.message_comes = False
    drill = world.through()

    assert [problem for problem in drill["problems"] if "alarm" in problem] == [
        f"No message of the alarm {ARRIVED} came out of arn:aws:sns:us-east-1:123456789012:alarms"
    ]


def test_what_is_not_redriven_is_named_with_its_failure_record(world, monkeypatch):
    monkeypatch.setattr(world, "redrive", lambda: None)
    drill = world.through()

    assert [change["part"] for change in drill["left"]] == ["poison"]
    assert drill["dropped"] == []
    assert any("run playbooks/redrive.yml" in problem for problem in drill["problems"])
    assert world.nothing_left()


def test_a_failure_record_that_stays_after_the_redrive_is_found(world, monkeypatch):
    redrive = world.redrive

    def keep_records():
        kept = world.records
        redrive()
        world.records = kept

    monkeypatch.setattr(world, "redrive", keep_records)
    drill = world.through()

    assert any("still holds failure records of the drill" in problem for problem in drill["problems"])


def test_a_change_recovered_without_the_mark_of_a_redrive_is_found(world, monkeypatch):
    def process_again():
        for record in world.failed:
            world.put(record)
        world.records = []

    monkeypatch.setattr(world, "redrive", process_again)
    drill = world.through()

    assert any("is audited without the mark of a redrive" in problem for problem in drill["problems"])


def test_a_wrong_audit_object_is_found_by_the_names_of_its_fields(world, monkeypatch):
    put = world.put

    def put_without_image(record):
        change = {name: value for name, value in record["dynamodb"].items() if name != "NewImage"}
        put({**record, "dynamodb": change})

    monkeypatch.setattr(world, "put", put_without_image)
    drill = world.through()

    assert any("newImage is not what the change gives" in problem for problem in drill["problems"])


def test_an_alarm_that_stays_on_after_the_redrive_is_found(world, monkeypatch):
    redrive = world.redrive

    def still_on():
        redrive()
        world.alarms[ARRIVED]["StateValue"] = "ALARM"

    monkeypatch.setattr(world, "redrive", still_on)
    drill = world.through()

    assert drill["problems"] == [f"The alarm {ARRIVED} is still in ALARM 120 s after the redrive"]


@pytest.mark.parametrize("phase", ["fail", "recover"])
def test_a_signal_leaves_no_item_queue_or_subscription(world, phase):
    drill = world.run("prepare")
    world.configure(drill)
    if phase == "recover":
        drill = world.run("fail", drill)
    world.signal_at = world.seconds

    with pytest.raises(Interrupted):
        world.run(phase, drill)

    assert world.nothing_left()


def test_a_drill_that_broke_off_is_cleaned_up_and_says_what_became_of_its_changes(world):
    drill = world.run("prepare")
    world.configure(drill)
    drill = world.run("fail", drill)
    drill = world.run("clean", drill)

    assert world.nothing_left() and drill["cleaned"]
    assert "The drill broke off" in drill["problems"]
    assert [change["part"] for change in drill["left"]] == ["poison"]


def test_a_drill_that_broke_off_before_its_first_write_is_cleaned_up_too(world):
    drill = world.run("clean", world.run("prepare"))

    assert world.nothing_left()
    assert (drill["problems"], drill["dropped"]) == (["The drill broke off"], [])


def test_what_cannot_be_removed_is_a_problem(world, monkeypatch):
    drill = world.run("prepare")
    world.configure(drill)
    drill = world.run("fail", drill)
    world.environment = {}
    world.redrive()

    def refused(*_arguments):
        raise RuntimeError("no")

    monkeypatch.setattr(world, "clear", refused)
    drill = world.run("recover", drill)

    assert drill["problems"] == ["the drill's items could not be removed: no"]
    assert not drill["cleaned"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"healthy_items": 0}, "healthy_items must be from 1 to 50, not 0"),
        ({"timeout": 3601}, "timeout must be from 1 to 3600"),
        ({"audit_prefix": "logs"}, "audit_prefix must end with a slash"),
    ],
)
def test_bad_options_are_refused(world, options, reason):
    with pytest.raises(InputError, match=reason):
        world.run("prepare", **options)


def test_a_later_phase_needs_what_the_phase_before_returned(world):
    with pytest.raises(InputError, match="phase fail needs drill"):
        world.run("fail")
