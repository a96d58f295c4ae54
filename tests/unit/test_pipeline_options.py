"""What a pipeline's options may not be together, and the sentence that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.log_group import RETENTIONS
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_options import PREFIX, problems
from hypothesis import given
from hypothesis import strategies as st
from stream_processor import config

ROLE = Path(__file__).resolve().parents[2] / "roles/ddb_stream_pipeline"
SPECS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
KNOWN = sorted({name for entry in SPECS.values() for name in entry["options"]})
#: The defaults as a run sees them: what Ansible would template is given here.
GIVEN = {name: "a-name" if "{{" in str(value) else value for name, value in DEFAULTS.items()}
GIVEN[f"{PREFIX}environment"] = "dev"
GIVEN[f"{PREFIX}kms_key_alias"] = "alias/a-name"
GIVEN[f"{PREFIX}replayer_name"] = "another-name"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:orders"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:orders"
JOBS = "arn:aws:batch:us-east-1:123456789012:job-queue/orders"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def problems_with(**options):
    return problems({**GIVEN, **{PREFIX + name: value for name, value in options.items()}}, KNOWN)


def test_the_defaults_have_no_problem():
    assert problems_with() == []


def test_every_default_is_documented_with_the_same_value():
    documented = SPECS["main"]["options"]
    assert set(documented) == {*DEFAULTS, f"{PREFIX}environment"}
    for name, value in DEFAULTS.items():
        if "{{" not in str(value):
            assert documented[name]["default"] == value, name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"credentials": {"deployer": {"role_arn": "deployer"}}}, "credentials.deployer.role_arn is 'deployer'"),
        ({"credentials": {"operator": {"external_id": "x"}}}, "credentials.operator.external_id is given without"),
        (
            {"credentials": {"deployer": {"role_arn": "arn:aws:iam::111111111111:role/d", "duration_seconds": 60}}},
            "credentials.deployer.duration_seconds is 60",
        ),
        ({"tumbling_window_in_seconds": 60}, "ddb_stream_pipeline_parallelization_factor"),
        ({"maximum_record_age_in_seconds": 59}, "ddb_stream_pipeline_maximum_record_age_in_seconds"),
        ({"batch_size": 10001}, "ddb_stream_pipeline_batch_size"),
        ({"parallelization_factor": 11}, "ddb_stream_pipeline_parallelization_factor"),
        ({"read_capacity": 0}, "ddb_stream_pipeline_read_capacity"),
        ({"write_capacity": None}, "ddb_stream_pipeline_write_capacity"),
        ({"range_key_name": "UserId"}, "ddb_stream_pipeline_range_key_name"),
        ({"failure_queue_name": "failures.fifo"}, "without .fifo"),
        ({"change_topic_name": "changes.fifo"}, "ddb_stream_pipeline_change_topic_name is 'changes.fifo'"),
        ({"change_topic_type": "fifo", "change_topic_name": "changes"}, "must end with .fifo: changes.fifo"),
        (
            {
                "change_topic_type": "fifo",
                "change_topic_name": "c.fifo",
                "subscriptions": [{"protocol": "email", "endpoint": "a@example.com"}],
            },
            "ddb_stream_pipeline_subscriptions[0]: protocol is email",
        ),
        ({"alarm_topic_name": "alarms.fifo"}, "ddb_stream_pipeline_alarm_topic_name is 'alarms.fifo'"),
        ({"failure_topic_name": "failures.fifo"}, "ddb_stream_pipeline_failure_topic_name is 'failures.fifo'"),
        ({"failure_bucket_name": "Bad_Bucket"}, "ddb_stream_pipeline_failure_bucket_name"),
        ({"failure_bucket_name": "one", "audit_bucket_name": "one"}, "a bucket of their own"),
        (
            {"failure_subscriptions": [{"protocol": "email", "endpoint": "a@example.com"}]},
            "ddb_stream_pipeline_failure_destination is 'queue'",
        ),
        (
            {"failure_destination": "topic", "failure_subscriptions": [{"protocol": "email", "endpoint": "x"}]},
            "ddb_stream_pipeline_failure_subscriptions[0]",
        ),
        ({"audit_lifecycle": {"transition_days": 1}}, "ddb_stream_pipeline_audit_lifecycle.transition_days"),
        ({"audit_lifecycle": {"transition_storage_class": "GLACIER"}}, "ddb_stream_pipeline_audit_lifecycle says"),
        ({"audit_lifecycle": {"noncurrent_expiration_days": 9}}, "set ddb_stream_pipeline_audit_bucket_versioning"),
        ({"audit_object_lock": {"mode": "GOVERNANCE"}}, "ddb_stream_pipeline_audit_object_lock.days is None"),
        (
            {"audit_object_lock": {"mode": "COMPLIANCE", "days": 9}, "audit_lifecycle": {"expiration_days": 8}},
            "is 8 and ddb_stream_pipeline_audit_object_lock.days is 9",
        ),
        ({"audit_access_log": {"prefix": "a/"}}, "ddb_stream_pipeline_audit_access_log.bucket is missing"),
        ({"audit_bucket_name": "one", "audit_access_log": {"bucket": "one"}}, "a bucket of its own"),
        ({"kms_key_arn": "alias/ours"}, "ddb_stream_pipeline_kms_key_arn is 'alias/ours'"),
        ({"kms_key_arn": KEY, "kms_key_create": True}, "leave one of the two out"),
        ({"kms_key_arn": KEY, "region": "eu-west-1"}, "a key of us-east-1, and the pipeline is in eu-west-1"),
        ({"kms_key_alias": "alias/aws/s3"}, "ddb_stream_pipeline_kms_key_alias"),
        ({"kms_key_deletion_days": 6}, "from 7 to 30"),
        ({"vpc_subnet_ids": ["subnet-1"]}, "ddb_stream_pipeline_vpc_security_group_ids go together"),
        ({"system_log_level": "WARN"}, "give ddb_stream_pipeline_log_format JSON too"),
        ({"reserved_concurrency": 0}, "set ddb_stream_pipeline_enabled to false"),
        ({"reserved_concurrency": 1}, "runs up to 2 invocations at once"),
        ({"permissions_boundary": "boundary"}, "arn:aws:iam::ACCOUNT:policy/NAME"),
        ({"alarm_failure_age_in_seconds": 59}, "ddb_stream_pipeline_alarm_failure_age_in_seconds"),
        ({"alarm_iterator_age_in_seconds": 86401}, "ddb_stream_pipeline_alarm_iterator_age_in_seconds"),
        ({"drill_healthy_items": 0}, "ddb_stream_pipeline_drill_healthy_items"),
        ({"drill_timeout": 0}, "ddb_stream_pipeline_drill_timeout"),
        ({"versions_to_keep": 1}, "ddb_stream_pipeline_versions_to_keep"),
        ({"redrive_limit": -1}, "ddb_stream_pipeline_redrive_limit"),
        ({"redrive_batch_size": 0}, "ddb_stream_pipeline_redrive_batch_size"),
        ({"redrive_from": "yesterday"}, "ddb_stream_pipeline_redrive_from is 'yesterday'"),
        ({"redrive_to": "2026-01-31T08:00:00"}, "ISO 8601 and UTC"),
        ({"redrive_to": "2026-01-31T08:00:00+01:00"}, "ISO 8601 and UTC"),
        (
            {"redrive_from": "2026-01-31T08:00:01Z", "redrive_to": "2026-01-31T08:00:00Z"},
            "later than ddb_stream_pipeline_redrive_to",
        ),
        ({"filter_criteria": ["{oops"]}, "ddb_stream_pipeline_filter_criteria"),
        ({"filter_criteria": [{"eventName": ["INSERT"]}] * 11}, "ddb_stream_pipeline_filter_criteria"),
        ({"subscriptions": [{"protocol": "http", "endpoint": "http://a/"}]}, "ddb_stream_pipeline_subscriptions[0]"),
        ({"alarm_subscriptions": [{"protocol": "email", "endpoint": "x"}]}, "ddb_stream_pipeline_alarm_subscriptions"),
        ({"audit_prefix": "no-slash"}, "ddb_stream_pipeline_audit_prefix"),
        ({"audit_prefix": "./audit/"}, "ddb_stream_pipeline_audit_prefix"),
        ({"audit_prefix": "a" * 512 + "/"}, "ddb_stream_pipeline_audit_prefix"),
        ({"function_name": "f" * 65}, "ddb_stream_pipeline_function_name"),
        ({"role_name": "has space"}, "ddb_stream_pipeline_role_name"),
        ({"custom_policy_name": ""}, "ddb_stream_pipeline_custom_policy_name"),
        ({"dashboard_name": "orders.eu"}, "ddb_stream_pipeline_dashboard_name"),
        ({"failure_queue_name": "q" * 81}, "ddb_stream_pipeline_failure_queue_name"),
        ({"audit_bucket_name": "Bad_Bucket"}, "ddb_stream_pipeline_audit_bucket_name"),
        ({"runtime": "python3.9"}, "ddb_stream_pipeline_runtime"),
        ({"audit_prefix": "/"}, "ddb_stream_pipeline_audit_prefix"),
        ({"environment": "two words"}, "ddb_stream_pipeline_environment"),
        ({"memory_size": 64}, "ddb_stream_pipeline_memory_size"),
        ({"timeout": 901}, "ddb_stream_pipeline_timeout"),
        ({"alarm_period": 90}, "multiples of 60"),
        ({"batchsize": 5}, "did you mean ddb_stream_pipeline_batch_size"),
        ({"rules": {"sinks": []}}, "ddb_stream_pipeline_rules: the rules must be a list"),
        (
            {"rules": [{"sinks": []}, {"name": "high", "when": "new.a > 5", "subject": "x"}]},
            "ddb_stream_pipeline_rules: rule 2 (high): when, line 1 column 9: a number stands in backticks: `5`",
        ),
        ({"rules": [{"audit": {"drop": ["UserId"]}}]}, "ddb_stream_pipeline_rules: rule 1: audit.drop names UserId"),
        ({"rules": [{"audit": {"mask": ["ActivityId"]}}]}, "names ActivityId, a key attribute"),
        (
            {"compaction_hand_on": {"queue_arn": QUEUE, "state_machine_arn": MACHINE}},
            "compaction_hand_on names queue_arn and state_machine_arn; give queue_arn, or",
        ),
        ({"compaction_hand_on": {"job_queue_arn": JOBS}}, "compaction_hand_on names job_queue_arn; give"),
        ({"compaction_hand_on": {"queue_arn": f"{QUEUE}.fifo"}}, "compaction_hand_on.queue_arn is 'arn:aws:sqs:"),
        ({"compaction_hand_on": {"state_machine_arn": QUEUE}}, "compaction_hand_on.state_machine_arn is 'arn:aws:sqs:"),
        ({"compaction_schedule": "hourly"}, "ddb_stream_pipeline_compaction_schedule is 'hourly'"),
        ({"compaction_delay_minutes": 4}, "ddb_stream_pipeline_compaction_delay_minutes is 4"),
        (
            {"replayer_name": "a-name"},
            "ddb_stream_pipeline_replayer_name is 'a-name', the name of the pipeline's function",
        ),
        ({"replay_at_scale_targets": ["orders"]}, "ddb_stream_pipeline_replay_at_scale_targets[0] is 'orders'"),
        ({"replay_at_scale_targets": [QUEUE, f"{FUNCTION}:live"]}, "ddb_stream_pipeline_replay_at_scale_targets[1] is"),
        (
            {"rules": [{"changed_any": ["a"], "sinks": []}], "stream_view_type": "KEYS_ONLY"},
            "ddb_stream_pipeline_rules: changed_any compares two images; it needs ddb_stream_pipeline_stream_view_type",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence_with_the_options_name(options, words):
    found = problems_with(**options)
    assert len(found) == 1, found
    assert words in found[0]
    assert found[0].rstrip().endswith(".")


def test_on_demand_needs_no_capacity_to_be_taken_back():
    assert problems_with(billing_mode="PAY_PER_REQUEST") == []


def test_an_attached_tables_options_do_not_matter():
    assert problems_with(table_attach=True, read_capacity=0) == []


def test_an_attached_tables_keys_and_stream_are_not_known_to_rules():
    rules = [{"changed_any": ["a"], "audit": {"drop": ["UserId"]}}]
    assert problems_with(table_attach=True, stream_view_type="KEYS_ONLY", rules=rules) == []


def test_a_table_without_a_sort_key_has_no_key_attribute_of_no_name():
    assert problems_with(range_key_name="", rules=[{"audit": {"drop": ["ActivityId"]}}]) == []


def test_a_fifo_topic_of_queues_and_moments_in_utc_have_no_problem():
    queue = {"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:123456789012:orders.fifo"}
    assert problems_with(change_topic_type="fifo", change_topic_name="c.fifo", subscriptions=[queue]) == []
    assert problems_with(redrive_from="2026-01-31T08:00:00.5Z", redrive_to="2026-01-31T08:00:01+00:00") == []


@pytest.mark.parametrize(
    "target",
    [
        {"queue_arn": QUEUE, "state_machine_arn": ""},
        {"state_machine_arn": MACHINE},
        {"job_queue_arn": JOBS, "job_definition_arn": "arn:aws:batch:us-east-1:123456789012:job-definition/orders:1"},
    ],
)
def test_manifests_can_be_handed_to_each_kind_of_consumer(target):
    assert problems_with(compaction=True, compaction_hand_on=target) == []


def test_a_replay_can_be_let_send_to_each_kind_of_target():
    table = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders-*"
    assert problems_with(replay_at_scale_targets=[FUNCTION, table, QUEUE, QUEUE.replace("sqs", "sns")]) == []


def test_every_problem_is_told_at_once():
    assert len(problems_with(batch_size=0, audit_prefix="", environment="")) == 3


@pytest.mark.parametrize("environment", ["dev", "local", "production", "staging"])
def test_the_inventories_have_no_problem(environment):
    folder = ROLE.parents[1] / "inventories" / environment
    group = yaml.safe_load((folder / "group_vars/cdc_pipelines.yml").read_text())
    for host in yaml.safe_load((folder / "hosts.yml").read_text())["cdc_pipelines"]["hosts"].values():
        options = {name: value for name, value in {**group, **(host or {})}.items() if name.startswith(PREFIX)}
        assert problems({**GIVEN, **options}, KNOWN) == []


@given(st.one_of(st.text("a./=_- é", max_size=12), st.integers(510, 514).map(lambda size: "a" * (size - 1) + "/")))
def test_role_and_function_agree_on_the_audit_prefix(prefix):
    told = [sentence for sentence in problems_with(audit_prefix=prefix) if "audit_prefix" in sentence]
    assert bool(told) == (not config_takes(prefix))


def config_takes(prefix):
    return bool(config._PREFIX.fullmatch(prefix)) and len(prefix) <= config._PREFIX_MAX


def test_the_log_is_kept_for_as_long_as_its_module_can_say():
    assert SPECS["main"]["options"][f"{PREFIX}log_retention_in_days"]["choices"] == list(RETENTIONS)
