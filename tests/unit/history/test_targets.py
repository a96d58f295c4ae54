"""Each target says of every batch what was taken, what was refused and what may be tried again."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import records, targets
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.answers import (
    Failed,
    NotRun,
    Processed,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.changes import read_change
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.delivery import Unit
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.items import Item, key_digest
from botocore.exceptions import ClientError, ReadTimeoutError, ResponseStreamingError

from tests.unit.history.logs import client_error, envelope, line

MARKER = {"id": "replay-1", "time": "2026-02-01T00:00:00Z"}
SOURCE = "audit-logs/2026/01/31/10/x.json"
FIFO = "https://sqs/queue.fifo"
KILOBYTE = 1024


def raised(exc: Exception) -> None:
    raise exc


class Client:
    """Answers each call with the next of the given answers, the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.requests = list(answers) or [{}], []

    def _call(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return raised(answer) if isinstance(answer, Exception) else answer

    invoke = send_message_batch = publish_batch = batch_write_item = _call


def change(number: int, item: str = "item", **more):
    return read_change(line(envelope(number, item, **more)), SOURCE)


def batch(target, *changes) -> list[Unit]:
    return [target.unit(each, each.place) for each in changes]


def function(client, size=100, notify=False):
    return targets.FunctionTarget(client, "consumer", "live", size, MARKER, notify)


def answer(payload: Any = None, error: str | None = None, body: Any = None):
    found = {"Payload": body or io.BytesIO(b"" if payload is None else json.dumps(payload).encode())}
    return {**found, "FunctionError": error} if error else found


def reported(*numbers):
    return {"batchItemFailures": [{"itemIdentifier": number} for number in numbers]}


class TestFunction:
    def test_gets_a_batch_as_an_event_source_mapping_hands_it_over(self):
        client = Client(answer())
        target = function(client, notify=True)
        units = batch(target, change(1), change(2))

        assert target.send(units) == Processed(2)

        (request,) = client.requests
        assert (request["FunctionName"], request["Qualifier"]) == ("consumer", "live")
        assert request["InvocationType"] == "RequestResponse"
        assert json.loads(request["Payload"]) == {
            "Records": [records.stream_record(change(number), MARKER, True) for number in (1, 2)]
        }
        assert sum(unit.size for unit in units) >= len(request["Payload"]) - 20

    def test_without_a_qualifier_none_is_asked_for(self):
        client = Client(answer())
        target = targets.FunctionTarget(client, "consumer", None, 1, MARKER)
        target.send(batch(target, change(1)))
        assert "Qualifier" not in client.requests[0]

    @pytest.mark.parametrize(
        ("answered", "outcome"),
        [
            (answer(reported("2")), Processed(1)),
            (answer(reported("3", "2")), Processed(1)),
            (answer(reported()), Processed(3)),
            (answer({"statusCode": 200}), Processed(3)),
            (answer(reported("no number of the batch")), Processed(3)),
            (answer({"errorType": "ValueError", "errorMessage": "x"}, "Unhandled"), Failed("ValueError", "x")),
            (answer("", "Unhandled"), Failed("Unhandled")),
            (client_error("RequestEntityTooLargeException", 413, "Invoke"), Failed("RequestEntityTooLargeException")),
            (client_error("413", 413, "Invoke"), Failed("413")),
            (client_error("TooManyRequestsException", 429, "Invoke"), NotRun("TooManyRequestsException")),
            (client_error("AnyNewException", 503, "Invoke"), NotRun("AnyNewException")),
            (ReadTimeoutError(endpoint_url="x"), NotRun("ReadTimeoutError")),
        ],
    )
    def test_tells_what_became_of_a_batch(self, answered, outcome):
        target = function(Client(answered))
        assert target.send(batch(target, change(1), change(2), change(3))) == outcome

    def test_is_asked_again_when_its_answer_breaks_off(self):
        class Broken:
            def read(self):
                raise ResponseStreamingError(error="reset")

        target = function(Client(answer(body=Broken())))
        assert target.send(batch(target, change(1))) == NotRun("ResponseStreamingError")

    def test_that_may_not_be_invoked_ends_the_run(self):
        target = function(Client(client_error("AccessDeniedException", 403, "Invoke")))
        with pytest.raises(ClientError, match="AccessDenied"):
            target.send(batch(target, change(1)))

    def test_gets_no_more_than_an_event_holds(self):
        target = function(Client(answer()))
        large = {"Id": {"S": "item"}, "Data": {"S": "x" * 400 * KILOBYTE}}
        units = batch(target, *(change(number, new=large) for number in range(1, 20)))
        taken = [units[0]]
        while target.fits(taken, sum(each.size for each in taken), units[len(taken)]):
            taken.append(units[len(taken)])
        assert len(taken) == 15
        target.send(taken)
        assert len(target._client.requests[0]["Payload"]) < 6 * KILOBYTE**2

    def test_gets_batches_of_one_stream_with_rising_numbers(self):
        target = function(Client(), size=3)
        one, two, three, four = batch(target, change(1), change(2), change(3), change(4))
        (other,) = batch(target, change(9, label="2026-02-01T00:00:00.000"))
        assert target.fits([one], 0, two)
        assert not target.fits([two], 0, one)
        assert not target.fits([one], 0, other)
        assert not target.fits([one, two, three], 0, four)

    def test_waits_with_its_text_and_not_with_the_parsed_change(self):
        (unit,) = batch(function(Client()), change(1))
        assert not [part for part in unit.body if not isinstance(part, (bytes, str, int))]


def queue(client, url="https://sqs/queue"):
    return targets.QueueTarget(client, url, "bucket", MARKER)


def failed(place, code="InternalError", sender=False):
    return {"Id": str(place), "Code": code, "SenderFault": sender, "Message": "words"}


class TestQueueAndTopic:
    def test_get_the_pipelines_own_notifications_with_attributes_to_filter_by(self):
        asked = {}
        for target, call in ((queue(Client()), "Entries"), (topic(Client()), "PublishBatchRequestEntries")):
            assert target.send(batch(target, change(1), change(2, old={}, new={}))) == Processed(2)
            (request,) = target._client.requests
            asked[call] = request.pop(call)
        one, other = asked["Entries"]
        assert (one["Id"], other["Id"]) == ("0", "1")
        assert one["MessageBody"] == records.message(change(1), MARKER, "bucket")
        assert {name: each["StringValue"] for name, each in other["MessageAttributes"].items()} == {
            "eventName": "MODIFY",
            "table": "Items",
            "replay": "replay-1",
        }
        assert "MessageGroupId" not in one
        published = asked["PublishBatchRequestEntries"][0]
        assert (published["Message"], published["Subject"]) == (one["MessageBody"], "DynamoDB Activity: INSERT")

    @pytest.mark.parametrize(
        ("failures", "outcome"),
        [
            ([failed(2), failed(1, "Busy")], Processed(1, "Busy", "words", put_off=True)),
            ([failed(0)], NotRun("InternalError")),
            ([failed(1, "Bad", sender=True)], Processed(1, "Bad", "words")),
            ([failed(0, "Bad", sender=True), failed(1)], Processed(0, "Bad", "words")),
        ],
    )
    def test_take_a_batch_up_to_the_first_that_failed(self, failures, outcome):
        target = queue(Client({"Failed": failures}))
        assert target.send(batch(target, *(change(number, f"item-{number}") for number in range(3)))) == outcome

    @pytest.mark.parametrize("code", ["RequestThrottled", "KmsThrottled", "ThrottledException"])
    def test_that_are_throttled_are_asked_again(self, code):
        target = queue(Client(client_error(code, 400, "SendMessageBatch")))
        assert target.send(batch(target, change(1))) == NotRun(code)

    def test_that_are_gone_end_the_run(self):
        target = queue(Client(client_error("QueueDoesNotExist", 400, "SendMessageBatch")))
        with pytest.raises(ClientError, match="QueueDoesNotExist"):
            target.send(batch(target, change(1)))

    def test_get_ten_messages_a_call_and_no_more_bytes_than_one_may_have(self):
        target = queue(Client())
        units = batch(target, *(change(number, f"item-{number}") for number in range(11)))
        assert target.fits(units[:9], 0, units[10])
        assert not target.fits(units[:10], 0, units[10])
        large = {"Id": {"S": "item"}, "Data": {"S": "x" * 100 * KILOBYTE}}
        one, other, third = batch(target, *(change(number, new=large) for number in range(3)))
        assert target.fits([one], one.size, other)
        assert not target.fits([one, other], one.size + other.size, third)

    def test_a_full_call_is_within_the_services_limit_with_its_attributes(self):
        target = queue(Client(), FIFO)
        units, left = [], list(range(1, 40))
        while left:
            data = {"Id": {"S": f"item-{left[0]}"}, "Data": {"S": "x" * 25_000}}
            (unit,) = batch(target, change(left.pop(0), data["Id"]["S"], new=data))
            if units and not target.fits(units, sum(each.size for each in units), unit):
                break
            units.append(unit)
        target.send(units)
        (request,) = target._client.requests
        whole = sum(
            len(entry["MessageBody"])
            + sum(len(name) + 6 + len(each["StringValue"]) for name, each in entry["MessageAttributes"].items())
            for entry in request["Entries"]
        )
        assert 200_000 < whole <= 256 * KILOBYTE

    def test_that_are_fifo_get_an_items_changes_in_one_group_one_a_call(self):
        client = Client({})
        target = queue(client, FIFO)
        one, two, other = batch(target, change(1, "a"), change(2, "a"), change(3, "b"))
        assert not target.fits([one], 0, two)
        assert target.fits([one], 0, other)

        target.send([one, other])
        target.send([two])

        first, third, second = [entry for request in client.requests for entry in request["Entries"]]
        assert first["MessageGroupId"] == second["MessageGroupId"] == key_digest({"Id": {"S": "a"}}).hex()[:16]
        assert third["MessageGroupId"] != first["MessageGroupId"]
        assert len({each["MessageDeduplicationId"] for each in (first, second, third)}) == 3

    def test_that_are_fifo_take_a_change_again_with_another_replay(self):
        again = targets.QueueTarget(Client(), FIFO, "bucket", {**MARKER, "id": "replay-2"})
        ids = []
        for target in (queue(Client(), FIFO), queue(Client(), FIFO), again):
            target.send(batch(target, change(1)))
            ids.append(target._client.requests[0]["Entries"][0]["MessageDeduplicationId"])
        assert ids[0] == ids[1] != ids[2]

    def test_get_a_claim_check_where_a_message_has_no_room(self):
        target = topic(Client())
        large = {"Id": {"S": "item"}, "Data": {"S": "x" * 300 * KILOBYTE}}
        (unit,) = batch(target, change(1, new=large))
        target.send([unit])
        text = target._client.requests[0]["PublishBatchRequestEntries"][0]["Message"]
        assert json.loads(text)["details"]["audit"] == {"bucket": "bucket", "key": SOURCE}
        assert unit.size == len(text.encode()) <= 256 * KILOBYTE


def topic(client):
    return targets.TopicTarget(client, "arn:aws:sns:us-east-1:123456789012:changes", "bucket", MARKER)


def item(name: str, **state: Any) -> Item:
    keys = {"Id": {"S": name}}
    return Item(key_digest(keys), keys, {**keys, **state}, b"place", SOURCE, 1, (), None)


class TestTable:
    def test_gets_the_items_and_reports_show_none_of_them(self):
        client = Client({})
        target = targets.TableTarget(client, "Copy")
        units = [target.unit(item(name, Secret={"B": "AA=="})) for name in "ab"]

        assert target.send(units) == Processed(2)

        (request,) = client.requests
        items = [each["PutRequest"]["Item"] for each in request["RequestItems"]["Copy"]]
        assert items == [{"Id": {"S": name}, "Secret": {"B": b"\0"}} for name in "ab"]
        assert units[0].told == {"item": units[0].item.hex()[:16], "audit_key": SOURCE}
        assert units[0].kind == "PUT"

    @pytest.mark.parametrize(
        ("left", "outcome"),
        [
            ("c", Processed(2, put_off=True)),
            ("db", Processed(1, put_off=True)),
            ("a", NotRun("UnprocessedItems")),
            ("abcd", NotRun("UnprocessedItems")),
            # What cannot be assigned is no reason to take anything as written.
            ("x", NotRun("UnprocessedItems")),
        ],
    )
    def test_what_it_leaves_is_sent_again(self, left, outcome):
        target = targets.TableTarget(None, "Copy")
        units = [target.unit(item(name, Set={"SS": ["x", "y"]})) for name in "abcd"]
        # As DynamoDB may give it back: the members of a set have no order.
        back = [{"PutRequest": {"Item": {"Id": {"S": name}, "Set": {"SS": ["y", "x"]}}}} for name in left]
        target._client = Client({"UnprocessedItems": {"Copy": back}})

        assert target.send(units) == outcome

    def test_is_written_25_items_and_16_megabytes_a_call(self):
        target = targets.TableTarget(Client(), "Copy")
        units = [target.unit(item(f"item-{number}")) for number in range(26)]
        assert target.fits(units[:24], 0, units[24])
        assert not target.fits(units[:25], 0, units[25])
        assert not target.fits(units[:1], 16 * KILOBYTE**2, units[1])

    def test_that_is_throttled_is_asked_again_and_one_that_refuses_ends_the_run(self):
        busy = client_error("ProvisionedThroughputExceededException", 400, "BatchWriteItem")
        target = targets.TableTarget(Client(busy, client_error("ValidationException", 400, "BatchWriteItem")), "Copy")
        units = [target.unit(item("a"))]
        assert target.send(units) == NotRun("ProvisionedThroughputExceededException")
        with pytest.raises(ClientError, match="ValidationException"):
            target.send(units)
