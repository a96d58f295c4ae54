"""Each target gets what was asked for, and what cannot be replayed is refused before anything is written."""

from __future__ import annotations

import json
import random
import stat
from datetime import timedelta

import pytest
from replay_support import BUCKET, ENTRY, Scene, state

from tests.unit.history.logs import FIRST, PREFIX, client_error, envelope, line, random_changes

CHANGES = random_changes(random.Random(6), 60, items=8)
ORDER = [change["sequenceNumber"] for change in CHANGES]
COPY = {"target_table": "Copy"}
MATCH = "eventName == 'MODIFY'"


def moment(hours: float) -> str:
    return f"{FIRST + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def by_item(numbers: list[str]) -> dict[str, list[str]]:
    item_of = {change["sequenceNumber"]: change["keys"]["Id"]["S"] for change in CHANGES}
    found: dict[str, list[str]] = {}
    for number in numbers:
        found.setdefault(item_of[number], []).append(number)
    return found


def texts(value) -> str:
    return json.dumps(value)


class TestTable:
    @pytest.mark.parametrize("hours", [0.5, 2, 9])
    def test_becomes_what_the_table_was_at_the_time(self, scene, hours):
        scene.log(CHANGES)

        told = scene.run("table", to=moment(hours), **COPY)

        assert scene.items("Copy") == state(CHANGES, moment(hours))
        assert told["changed"] and told["complete"]
        assert told["counts"]["sent"] == len(state(CHANGES, moment(hours)))
        (tag,) = scene.dynamodb.list_tags_of_resource(ResourceArn=ENTRY["tableArn"].replace("Items", "Copy"))["Tags"]
        assert tag == {"Key": "cloudcdc:replay", "Value": told["replay_id"]}

    def test_that_is_there_and_empty_is_filled_and_one_with_items_is_refused(self, scene):
        scene.log(CHANGES)
        scene.table("Copy")

        assert scene.run("table", **COPY)["complete"]
        items = scene.items("Copy")
        again = scene.run("table", **COPY)

        assert again["failed"] and "The table Copy holds items already" in again["msg"]
        assert scene.items("Copy") == items == state(CHANGES)

    @pytest.mark.parametrize("how", [{"check": True}, {"dry_run": True}])
    def test_is_not_made_in_a_dry_run(self, scene, tmp_path, how):
        scene.log(CHANGES)

        told = scene.run("table", state_dir=str(tmp_path / "state"), replay_id="one", **COPY, **how)

        assert not told["changed"] and told["complete"]
        assert scene.tables() == ["Items"]
        assert not (tmp_path / "state").exists()
        assert told["states"]["in_log"] == told["cost"]["requests"]["dynamodb_write_units"] == len(state(CHANGES))
        assert told["message"] == f"{len(state(CHANGES))} items would be written, as 60 changes left them."

    def test_of_a_table_that_is_gone_is_made_with_the_key_schema_that_is_given(self, scene):
        scene.log(CHANGES)
        scene.dynamodb.delete_table(TableName="Items")

        refused = scene.run("table", **COPY)
        assert refused["failed"] and "its key schema has to be given: hash_key_name, hash_key_type" in refused["msg"]
        assert scene.run("table", hash_key_name="Id", hash_key_type="STRING", **COPY)["complete"]
        assert scene.items("Copy") == state(CHANGES)

    def test_gets_one_item_only_where_its_keys_are_given(self, scene):
        scene.log(CHANGES)
        name = next(iter(state(CHANGES)))

        assert scene.run("table", keys={"Id": {"S": name}}, **COPY)["complete"]
        assert scene.items("Copy") == {name: state(CHANGES)[name]}

    @pytest.mark.parametrize("keys", [{"Id": {"N": "1"}}, {"Other": {"S": "a"}}, {"Id": {"S": "a"}, "At": {"S": "a"}}])
    @pytest.mark.parametrize("target", ["table", "verify"])
    def test_keys_that_no_item_can_have_are_refused(self, scene, target, keys):
        scene.log(CHANGES)
        told = scene.run(target, keys=keys, **(COPY if target == "table" else {}))
        assert told["failed"] and "keys must be those of the table Items, Id (S), not " in told["msg"]
        assert scene.tables() == ["Items"]

    def test_of_another_key_schema_is_refused(self, scene):
        scene.log(CHANGES)
        scene.table("Copy", "Other")
        told = scene.run("table", **COPY)
        assert told["failed"] and "key schema Other (S), and the changes are of items with Id (S)" in told["msg"]
        assert scene.dynamodb.scan(TableName="Copy")["Count"] == 0

    def test_that_the_changes_are_of_is_refused_by_any_name(self, scene):
        scene.log(CHANGES)
        for name in ("Items", ENTRY["tableArn"]):
            told = scene.run("table", target_table=name)
            assert told["failed"] and "target_table must not be the table that the changes are of" in told["msg"]
        assert scene.items("Items") == {}

    def test_is_not_written_where_an_object_is_damaged_and_that_is_named(self, scene):
        keys = scene.log(CHANGES)
        scene.s3.put_object(Bucket=BUCKET, Key=keys[3], Body=b"{}")

        told = scene.run("table", **COPY)

        assert told["failed"] and f"{keys[3]} is damaged" in told["msg"] and "Nothing was written" in told["msg"]
        assert scene.tables() == ["Items"]

    def test_that_was_begun_is_filled_by_the_next_run(self, scene, tmp_path):
        scene.log(CHANGES)
        more = {"state_dir": str(tmp_path), "replay_id": "one", **COPY}
        first = {"concurrency": 2, "to": moment(9), **more}
        # As a run that was killed between its first two calls leaves it.
        scene.run("table", **first)
        (file,) = tmp_path.iterdir()
        file.write_text(file.read_text().partition("\n")[0] + "\n")
        scene.dynamodb.delete_item(TableName="Copy", Key={"Id": {"S": next(iter(state(CHANGES)))}})

        assert scene.run("table", **first)["complete"]
        assert scene.items("Copy") == state(CHANGES)
        assert "was complete before" in scene.run("table", **first)["message"]


class TestVerify:
    def test_says_that_log_and_table_agree(self, scene):
        scene.log(CHANGES)
        scene.fill(CHANGES)

        told = scene.run("verify")

        assert not told["changed"] and told["complete"]
        count = len(state(CHANGES))
        assert told["message"] == f"Audit log and table agree: {count} items, 60 changes."

    def test_names_what_differs_by_hash_and_its_keys_in_a_file_of_its_own(self, scene, tmp_path):
        scene.log(CHANGES)
        scene.fill(CHANGES)
        altered, gone, *_rest = state(CHANGES)
        file = tmp_path / "made" / "differences"
        scene.dynamodb.put_item(TableName="Items", Item={"Id": {"S": altered}, "Value": {"N": "-1"}})
        scene.dynamodb.delete_item(TableName="Items", Key={"Id": {"S": gone}})
        scene.dynamodb.put_item(TableName="Items", Item={"Id": {"S": "extra-item"}})

        told = scene.run("verify", differences_file=str(file))

        assert not told["complete"] and not told.get("failed")
        assert told["states"]["different_count"] == 3
        kinds = {each["kind"]: each["item"] for each in told["states"]["different"]}
        written = {each["kind"]: each for each in map(json.loads, file.read_text().splitlines())}
        assert {kind: each["keys"]["Id"]["S"] for kind, each in written.items()} == {
            "differs": altered,
            "not_in_table": gone,
            "not_in_log": "extra-item",
        }
        assert {kind: each["item"] for kind, each in written.items()} == kinds
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "extra-item" not in texts(told) and altered not in texts(told)

        scene.fill(CHANGES)
        scene.dynamodb.delete_item(TableName="Items", Key={"Id": {"S": "extra-item"}})
        assert scene.run("verify", differences_file=str(file))["complete"]
        assert not file.exists()

    def test_names_a_change_that_was_lost_in_the_middle(self, scene):
        lost = next(
            change
            for place, change in enumerate(CHANGES)
            if change["eventName"] == "MODIFY" and any(each["keys"] == change["keys"] for each in CHANGES[place + 1 :])
        )
        scene.log([change for change in CHANGES if change is not lost])
        scene.fill(CHANGES)

        told = scene.run("verify")

        assert not told["complete"] and told["states"]["different_count"] == 0
        assert told["states"]["fault_count"] == 1
        assert "does not follow: the change before it left something else" in told["states"]["faults"][0]
        assert "1 changes do not follow" in told["message"]

    def test_counts_only_in_a_dry_run_and_leaves_the_file_of_another_run(self, scene, tmp_path):
        scene.log(CHANGES)
        file = tmp_path / "differences"
        file.write_text("kept")
        told = scene.run("verify", dry_run=True, differences_file=str(file))
        assert told["states"]["in_log"] == told["cost"]["requests"]["dynamodb_read_units"] == len(state(CHANGES))
        assert "in_table" not in told["states"] and file.read_text() == "kept"

    def test_of_a_table_that_is_not_there_is_refused(self, scene):
        scene.log(CHANGES)
        scene.dynamodb.delete_table(TableName="Items")
        assert "There is no table Items to compare with." in scene.run("verify")["msg"]

    def test_of_one_item_looks_at_no_other(self, scene):
        scene.log(CHANGES)
        scene.fill(CHANGES)
        one, other, *_rest = state(CHANGES)
        scene.dynamodb.delete_item(TableName="Items", Key={"Id": {"S": other}})
        told = scene.run("verify", keys={"Id": {"S": one}})
        assert told["complete"] and (told["states"]["in_log"], told["states"]["in_table"]) == (1, 1)
        assert not scene.run("verify", keys={"Id": {"S": other}})["complete"]


INCOMPLETE = [
    ({"complete": False, "reasons": ["rule 1 keeps changes out of the audit log"]}, "rule 1 keeps changes out"),
    ({"beginsWithTable": False}, "there is no baseline"),
    ({"tableArn": ENTRY["tableArn"].replace("Items", "Orders")}, "is not of a table Items, by its journal"),
]


@pytest.mark.parametrize("target", ["table", "verify"])
@pytest.mark.parametrize(("more", "words"), INCOMPLETE)
def test_a_log_that_is_incomplete_or_anothers_is_refused(scene, target, more, words):
    scene.log(CHANGES)
    scene.journal(**more)
    told = scene.run(target, **(COPY if target == "table" else {}))
    assert told["failed"] and words in told["msg"] and "Nothing was written." in told["msg"]
    assert scene.tables() == ["Items"]


@pytest.mark.parametrize("target", ["table", "verify"])
def test_a_log_without_a_journal_is_refused(scene, target):
    for key in scene.log(CHANGES):
        assert key.startswith(PREFIX)
    scene.s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}journal/20260101T000100Z-00000000.json")
    told = scene.run(target, **(COPY if target == "table" else {}))
    assert told["failed"] and "The log has no journal: run playbooks/deploy.yml" in told["msg"]


@pytest.mark.parametrize("target", ["table", "verify"])
def test_a_log_with_new_images_only_is_refused(scene, target):
    scene.log([*CHANGES, {**envelope(10**25, seconds=20000), "eventName": "MODIFY", "newImage": None} | {}][:60])
    bare = envelope(10**25, "bare", seconds=20000)
    del bare["newImage"]
    scene.log([bare])
    told = scene.run(target, **(COPY if target == "table" else {}))
    assert told["failed"] and "the stream's view type was not NEW_AND_OLD_IMAGES then" in told["msg"]
    assert scene.tables() == ["Items"]


def test_bad_ranges_are_refused(scene):
    scene.log(CHANGES)
    for options, words in (
        ({"from": moment(99)}, "is in the future. It is 2026-02-02T10:00:00Z now."),
        ({"to": moment(99)}, "is in the future"),
        ({"from": moment(2), "to": moment(1)}, "the range holds no time"),
        ({"from": "noon"}, "must be a time in ISO 8601"),
    ):
        told = scene.run("function", function_name="consumer", **options)
        assert told["failed"] and words in told["msg"]
    assert scene.consumer.batches == 0


@pytest.mark.parametrize(
    ("target", "where", "words"),
    [
        ("function", {"function_name": "nobody"}, "There is no function nobody to replay to"),
        ("function", {"function_name": "nobody", "qualifier": "live"}, "There is no function nobody:live"),
        ("queue", {"queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/none"}, "There is no queue https"),
        ("topic", {"topic_arn": "arn:aws:sns:us-east-1:123456789012:none"}, "There is no topic arn"),
        ("file", {"path": "/tmp"}, "path must name a file, and /tmp is a folder"),
    ],
)
def test_where_nothing_can_be_replayed_to_is_refused(scene, target, where, words):
    scene.log(CHANGES)
    told = scene.run(target, **where)
    assert told["failed"] and words in told["msg"] and not told.get("changed")


@pytest.mark.parametrize(
    ("target", "since"),
    [
        ("function", None),
        ("function", moment(0)),
        ("table", None),
        ("verify", None),
        ("file", None),
        ("file", moment(0)),
    ],
)
def test_a_bucket_that_is_not_there_is_refused(scene, tmp_path, target, since):
    where = {"function": {"function_name": "consumer"}, "table": COPY, "file": {"path": str(tmp_path / "x")}}
    options = {"bucket": "none", **where.get(target, {}), **({"from": since} if since else {})}
    told = scene.run(target, **options)
    assert told["failed"] and told["msg"] == "There is no audit bucket none. Nothing was sent."
    assert scene.tables() == ["Items"] and list(tmp_path.iterdir()) == []


def queue(scene: Scene, name: str = "consumer", **attributes: str) -> str:
    return scene.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def received(scene: Scene, url: str) -> list[dict]:
    found = []
    while True:
        some = scene.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for each in some.get("Messages", []):
            found.append(each)
            scene.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        if not some.get("Messages"):
            return found


class TestQueueAndTopic:
    def test_get_every_change_once_with_the_replays_mark(self, scene):
        scene.log(CHANGES)
        url = queue(scene)

        told = scene.run("queue", queue_url=url, replay_id="one")

        assert told["changed"] and told["complete"] and told["message"] == "60 changes sent to the queue."
        found = received(scene, url)
        details = [json.loads(each["Body"])["details"] for each in found]
        assert {each["replay"]["id"] for each in details} == {"one"}
        assert {each["MessageAttributes"]["replay"]["StringValue"] for each in found} == {"one"}
        assert sorted(each["sequenceNumber"] for each in details) == ORDER
        assert [{**each, "replay": None} for each in sorted(details, key=lambda each: each["sequenceNumber"])] == [
            {**change, "replay": None} for change in CHANGES
        ]

    def test_that_are_fifo_get_each_items_changes_in_order(self, scene):
        scene.log(CHANGES)
        url = queue(scene, "consumer.fifo", FifoQueue="true")

        assert scene.run("queue", queue_url=url)["complete"]

        # moto gives out one message of a group at a time, like SQS.
        numbers = [json.loads(each["Body"])["details"]["sequenceNumber"] for each in received(scene, url)]
        assert by_item(numbers) == by_item(ORDER)

    def test_a_topics_subscribers_get_them(self, scene):
        scene.log(CHANGES)
        url, arn = queue(scene), scene.sns.create_topic(Name="changes")["TopicArn"]
        scene.sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:consumer",
            Attributes={"RawMessageDelivery": "true"},
        )

        told = scene.run("topic", topic_arn=arn, event_names=["REMOVE"])

        removed = [change["sequenceNumber"] for change in CHANGES if change["eventName"] == "REMOVE"]
        assert told["counts"]["sent"] == told["counts"]["remove"] == len(removed) > 3
        assert sorted(json.loads(each["Body"])["details"]["sequenceNumber"] for each in received(scene, url)) == removed

    @pytest.mark.parametrize("how", [{"check": True}, {"dry_run": True}])
    def test_get_nothing_in_a_dry_run(self, scene, tmp_path, how):
        scene.log(CHANGES)
        url = queue(scene)
        errors = tmp_path / "errors"
        errors.write_text("of another run")

        told = scene.run("queue", queue_url=url, state_dir=str(tmp_path / "state"), error_file=str(errors), **how)

        assert not told["changed"] and told["message"] == "60 changes would be replayed."
        assert received(scene, url) == []
        assert [each.name for each in tmp_path.iterdir()] == ["errors"] and errors.read_text() == "of another run"
        names = ("insert", "modify", "remove")
        assert sum(told["counts"][name] for name in names) == told["counts"]["selected"] == 60
        assert told["counts"]["bytes"] == sum(len(line(change)) for change in CHANGES)
        assert told["cost"]["requests"]["sqs_send"] == 6


class TestFile:
    def read(self, path) -> list[str]:
        return [json.loads(each)["sequenceNumber"] for each in path.read_text().splitlines()]

    def test_gets_the_envelopes_in_order_and_is_its_owners_only(self, scene, tmp_path):
        scene.log(CHANGES)
        path = tmp_path / "made" / "changes.ndjson"

        told = scene.run("file", path=str(path))

        assert told["changed"] and told["message"] == f"60 changes written to {path}."
        assert path.read_bytes() == b"".join(line(change) + b"\n" for change in CHANGES)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_takes_what_is_asked_for(self, scene, tmp_path):
        scene.log(CHANGES)
        path = tmp_path / "changes"
        key = CHANGES[0]["keys"]
        within = [each for each in CHANGES if moment(1) <= each["timestamp"] <= moment(2)]
        wanted = {
            (("limit", 5),): CHANGES[:5],
            (("from", moment(1)), ("to", moment(2))): within,
            (("event_names", ("INSERT", "REMOVE")),): [each for each in CHANGES if each["eventName"] != "MODIFY"],
            (("match", MATCH),): [each for each in CHANGES if each["eventName"] == "MODIFY"],
            (("keys", texts(key)),): [each for each in CHANGES if each["keys"] == key],
        }
        for options, changes in wanted.items():
            assert scene.run("file", path=str(path), **dict(options))["complete"]
            assert self.read(path) == [each["sequenceNumber"] for each in changes]

    def test_keys_may_be_spelt_otherwise_than_in_the_log(self, scene, tmp_path):
        change = {**envelope(5), "keys": {"Id": {"N": "5"}}, "newImage": {"Id": {"N": "5"}}}
        scene.log([change])
        path = tmp_path / "changes"
        for spelt in ("5", 5, "5.0"):
            assert scene.run("file", path=str(path), keys={"Id": {"N": spelt}})["counts"]["selected"] == 1

    def test_an_items_keys_are_not_in_the_result_and_garble_nothing_in_it(self, scene, tmp_path):
        scene.log([envelope(5, "1"), *(envelope(number, f"secret-{number}") for number in range(6, 9))])
        path = str(tmp_path / "changes")
        told = scene.run("file", path=path, keys={"Id": {"S": "1"}})
        assert told["message"] == f"1 changes written to {path}."
        assert told["from"] == "2026-01-31T10:00:00Z" and told["counts"]["selected"] == 1
        assert "secret-7" not in texts(scene.run("file", path=path, keys={"Id": {"S": "secret-7"}}))

    def test_stays_as_it_was_where_an_object_is_damaged(self, scene, tmp_path):
        keys = scene.log(CHANGES)
        scene.s3.put_object(Bucket=BUCKET, Key=keys[3], Body=b"{}")
        path = tmp_path / "changes"
        path.write_text("of another run")

        told = scene.run("file", path=str(path))

        assert not told["changed"] and not told["complete"]
        assert [each["key"] for each in told["damaged"]] == [keys[3]]
        assert path.read_text() == "of another run" and list(tmp_path.iterdir()) == [path]

    def test_holds_no_changes_of_other_tables(self, scene, tmp_path):
        scene.log(CHANGES)
        told = scene.run("file", path=str(tmp_path / "changes"), table_name="Orders")
        assert (told["counts"]["selected"], told["counts"]["other_tables"]) == (0, 60)


class TestFunction:
    def run(self, scene, **options):
        return scene.run("function", function_name="consumer", batch_size=4, concurrency=3, **options)

    def test_gets_every_change_once_and_each_items_in_order(self, scene):
        scene.log(CHANGES)

        told = self.run(scene)

        assert told["changed"] and told["complete"]
        assert by_item(scene.consumer.numbers) == by_item(ORDER)
        assert {record["replay"]["id"] for record in scene.consumer.records} == {told["replay_id"]}
        assert not any("notify" in record["replay"] for record in scene.consumer.records)

    def test_what_it_refuses_is_told_and_its_words_only_in_a_file(self, scene, tmp_path):
        scene.log(CHANGES)
        bad = next(numbers[1] for numbers in by_item(ORDER).values() if len(numbers) > 3)
        scene.consumer.refused = {bad: "the secret words"}
        file = tmp_path / "made" / "errors"

        told = self.run(scene, error_file=str(file))

        assert told["changed"] and not told["complete"] and not told.get("failed")
        (failing,) = told["failing"]
        assert failing["sequence_number"] == bad
        assert told["counts"]["held_back"] == len(next(each for each in by_item(ORDER).values() if bad in each)) - 2
        assert told["counts"]["sent"] == 60 - 1 - told["counts"]["held_back"]
        assert "secret words" not in texts(told)
        assert "the secret words" in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_goes_on_where_it_was_interrupted_and_sends_each_change_once(self, scene, tmp_path):
        scene.log(CHANGES)
        more = {"state_dir": str(tmp_path), "replay_id": "one"}

        def deny(number):
            if number > 6:
                raise client_error("AccessDeniedException", 403, "Invoke")

        scene.consumer.before = deny
        first = self.run(scene, **more)
        assert first["failed"] and first["changed"]
        assert "Failed to send to the function" in first["msg"] and "AccessDenied" in first["msg"]
        assert "It goes on where it stopped with replay_id one" in first["msg"]
        assert 0 < len(scene.consumer.numbers) < 60

        scene.consumer.before = lambda number: None
        second = self.run(scene, **more)

        assert second["complete"] and second["counts"]["sent"] == 60
        assert second["counts"]["skipped"] > 0
        assert sorted(scene.consumer.numbers) == ORDER and by_item(scene.consumer.numbers) == by_item(ORDER)
        assert len({texts(record["replay"]["time"]) for record in scene.consumer.records}) == 1

        third = self.run(scene, **more)
        assert not third["changed"] and third["complete"] and "was complete before" in third["message"]

    def test_what_failed_is_tried_again_by_the_next_run(self, scene, tmp_path):
        scene.log(CHANGES)
        more = {"state_dir": str(tmp_path), "replay_id": "one"}
        scene.consumer.refused = {ORDER[5]: "no"}
        assert self.run(scene, **more)["counts"]["failing"] == 1

        scene.consumer.refused = {}
        second = self.run(scene, **more)

        assert second["complete"] and second["counts"]["sent"] == 60
        assert sorted(scene.consumer.numbers) == ORDER

    def test_that_may_not_be_invoked_is_no_failure_of_the_log(self, scene):
        scene.log(CHANGES)

        def deny(number):
            raise client_error("AccessDeniedException", 403, "Invoke")

        scene.consumer.before = deny
        told = self.run(scene)
        assert told["failed"] and not told.get("changed")
        assert "Failed to send to the function" in told["msg"]

    def test_a_replay_is_not_continued_with_other_options(self, scene, tmp_path):
        scene.log(CHANGES)
        more = {"state_dir": str(tmp_path), "replay_id": "one"}
        self.run(scene, to=moment(3), **more)
        batches = scene.consumer.batches
        for other, words in (
            ({"notify": True}, "begun with other options (notify)"),
            ({"match": MATCH, "limit": 5}, "begun with other options (match, limit)"),
            ({"to": moment(2)}, f"was begun with to {moment(3)}. Give that, or another replay_id."),
        ):
            told = self.run(scene, **{**more, **other})
            assert told["failed"] and words in told["msg"]
        assert scene.consumer.batches == batches

    def test_a_damaged_object_is_named_and_the_rest_is_sent(self, scene):
        keys = scene.log(CHANGES)
        scene.s3.put_object(Bucket=BUCKET, Key=keys[3], Body=b"{}")
        told = self.run(scene)
        assert not told["complete"] and [each["key"] for each in told["damaged"]] == [keys[3]]
        assert told["counts"]["sent"] == told["counts"]["selected"] < 60
