"""One shard under way for one mapping: a thread that reads, invokes what is due, and notes what is done."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from local_cloud.poller import aws, destination
from local_cloud.poller.engine import ShardEngine
from local_cloud.poller.failure_records import invocation_event
from local_cloud.poller.invoke import invoke
from local_cloud.poller.model import Batch, Discard, FunctionError, NotRun, Outcome, Saved, Settings
from local_cloud.poller.shard_reader import ShardReader

if TYPE_CHECKING:
    from local_cloud.poller.mapping import MappingRunner

#: Each shard is polled four times a second.
#: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
READ_SECONDS = 0.25
#: How long reading rests after errors, at most.
REST_SECONDS = 4.0
#: Ten lanes invoke at once, and what they gave up is delivered meanwhile.
THREADS = 16
#: After an error of our own.
RESTART_SECONDS = 1.0


class ShardRunner:
    """The engine belongs to this runner's thread alone: what other threads find out comes in as messages."""

    def __init__(self, mapping: MappingRunner, shard_id: str) -> None:
        self.shard_id = shard_id
        self._mapping = mapping
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"{mapping.uuid[:8]}-{shard_id[-8:]}")
        self._stopped = False
        self.finished = False
        self._begin()
        self._thread = threading.Thread(target=self._run, name=f"{mapping.uuid}/{shard_id}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """The mapping changed: look at it again."""
        self._messages.put(None)

    def stop(self) -> None:
        """The mapping is gone: what still runs is of no interest any more."""
        self._stopped = True
        self.wake()

    # --- the thread ---

    def _begin(self) -> None:
        """Start from what was saved."""
        saved = self._mapping.store.saved().get(self.shard_id, Saved())
        self._messages: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._settings: Settings = self._mapping.settings
        self._engine = ShardEngine(self._settings, saved)
        self._reader = ShardReader(
            lambda: self._mapping.client("dynamodbstreams"), self._mapping.stream_arn, self.shard_id, saved.checkpoint
        )
        self._next_read, self._failures, self._ended = 0.0, 0, False

    def _run(self) -> None:
        while not self._stopped and not self.finished:
            try:
                self._drive()
            except Exception:  # an error of ours must not end the mapping: go on as after a restart
                self._log("error in the poller", trace=traceback.format_exc())
                time.sleep(RESTART_SECONDS)
                self._begin()
        self._pool.shutdown(wait=False)
        if self.finished:
            self._mapping.look_again()

    def _drive(self) -> None:
        while not self._stopped:
            if self._settings != self._mapping.settings:
                self._settings = self._mapping.settings
                self._engine.update(self._settings)
            if self._mapping.running:
                self._read()
                self._invoke_due()
                self._give_up()
            self._note()
            if self._engine.finished:
                self.finished = True
                return
            self._wait()

    def _wait(self) -> None:
        """Until there is something to do by time, or a message."""
        try:
            message = self._messages.get(timeout=self._seconds())
            while True:
                if message:
                    message()
                message = self._messages.get_nowait()
        except Empty:
            pass

    def _seconds(self) -> float | None:
        if not self._mapping.running:
            return None
        now = time.time()
        moments = [self._engine.next_due(now)]
        if not self._ended and self._engine.room():
            moments.append(self._next_read)
        known = [moment for moment in moments if moment is not None]
        # Never without a pause, whatever the engine says.
        return max(0.002, min(known) - now) if known else None

    def _note(self) -> None:
        """Write down what is done."""
        self._mapping.store.save(self.shard_id, self._engine.saved())
        counts = self._engine.counts
        if any(vars(counts).values()):
            taken = counts.take()
            if self._mapping.counts_events:
                self._mapping.metrics.events(self._mapping.uuid, taken)

    # --- reading ---

    def _read(self) -> None:
        room = self._engine.room()
        if self._ended or not room or time.time() < self._next_read:
            return
        try:
            page = self._reader.read(room)
        except aws.AWS_ERRORS as error:
            self._next_read = time.time() + self._rest(error)
            return
        now = time.time()
        self._next_read = now + READ_SECONDS
        self._failures = 0
        self._mapping.problem(self.shard_id, "")
        if page.missed_after:
            self._log(
                "records may have left the stream before they were read",
                after=page.missed_after,
                before=page.records[0]["dynamodb"]["SequenceNumber"],
            )
        if page.records:
            self._mapping.metrics.returned_records(self._mapping.stream_arn, len(page.records))
            self._engine.offer(page.records, now)
        if page.ended:
            self._end(now)

    def _end(self, now: float) -> None:
        self._ended = True
        self._engine.close(now)

    def _rest(self, error: Exception) -> float:
        """Tell what kept us from reading, and how long to leave it alone."""
        if aws.code(error) == "ResourceNotFoundException":
            # The stream or the shard is gone: Lambda keeps quiet, and keeps looking.
            if self._mapping.lacks(self.shard_id):
                self._log("the stream has the shard no more", after=self._engine.saved().checkpoint)
                # Nothing reads it again that could say so.
                self._mapping.problem(self.shard_id, "")
                self._end(time.time())
            return REST_SECONDS
        self._mapping.refused(self.shard_id, error)
        self._failures += 1
        return min(REST_SECONDS, READ_SECONDS * 2**self._failures)

    # --- invoking ---

    def _invoke_due(self) -> None:
        now = time.time()
        for batch in self._engine.due(now):
            if batch.records:
                age = now - batch.records[-1]["dynamodb"]["ApproximateCreationDateTime"]
                self._mapping.metrics.iterator_age(self._mapping.function_arn, max(0.0, age) * 1000)
            self._pool.submit(self._invoke, batch, self._messages)

    def _invoke(self, batch: Batch, messages: SimpleQueue) -> None:
        try:
            event = invocation_event(batch, self._mapping.stream_arn, self.shard_id)
            outcome = invoke(self._mapping.lambda_client, self._mapping.function_arn, event)
        except Exception as error:  # a lane without an outcome would stand still for ever
            self._log("error in the poller", trace=traceback.format_exc())
            outcome = NotRun(type(error).__name__)
        messages.put(lambda: self._settle(batch, outcome))

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        before = self._engine.counts.failed_invoke
        self._engine.settle(batch.number, outcome, time.time())
        # The engine judges answers; a window's final call has no records that it could count.
        failed = self._engine.counts.failed_invoke > before or isinstance(outcome, FunctionError)
        if isinstance(outcome, NotRun):
            self._log("function was not run", **_range(batch.records), reason=outcome.reason)
            self._mapping.processed(f"PROBLEM: {outcome.reason}")
        elif failed:
            self._log("function failed", **_range(batch.records), request_id=outcome.request_id)
            self._mapping.processed("PROBLEM: Function call failed")
        else:
            self._mapping.processed("OK")

    # --- giving up ---

    def _give_up(self) -> None:
        for discard in self._engine.discards(time.time()):
            arn = self._mapping.destination
            if arn:
                self._pool.submit(self._deliver, discard, arn, self._messages)
            else:
                self._engine.discarded(discard.number, None)
                self._dropped(discard, "there is no on-failure destination")

    def _deliver(self, discard: Discard, arn: str, messages: SimpleQueue) -> None:
        try:
            why = destination.deliver(
                self._mapping.client, self._mapping.renew_role, arn, discard, self._mapping.named, self.shard_id
            )
        except Exception as error:
            self._log("error in the poller", trace=traceback.format_exc())
            why = type(error).__name__
        messages.put(lambda: self._delivered(discard, arn, why))

    def _delivered(self, discard: Discard, arn: str, why: str) -> None:
        self._engine.discarded(discard.number, not why)
        if why:
            self._mapping.metrics.destination_failure(self._mapping.function_arn)
            self._dropped(discard, f"{arn} does not take it: {why}")
        else:
            told = {"condition": discard.condition, "destination": arn}
            self._log("records discarded", **_range(discard.records), **told)

    def _dropped(self, discard: Discard, why: str) -> None:
        self._log("records dropped", **_range(discard.records), condition=discard.condition, reason=why)

    def _log(self, event: str, **details: Any) -> None:
        self._mapping.log(event, shard=self.shard_id, **details)


def _range(records: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Which records, without what is in them. A window's final call has none."""
    if not records:
        return {"records": 0}
    first, last = (record["dynamodb"]["SequenceNumber"] for record in (records[0], records[-1]))
    return {"records": len(records), "first": first, "last": last}
