"""One event source mapping under way: whose role reads, which shards there are, and a runner for each."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_cloud.poller import aws
from local_cloud.poller.filters import compile_patterns
from local_cloud.poller.lineage import readable
from local_cloud.poller.metrics import Metrics
from local_cloud.poller.model import RETENTION_SECONDS, Settings
from local_cloud.poller.records import counts_events, destination_of, function_name, settings_of
from local_cloud.poller.shard import ShardRunner
from local_cloud.poller.shard_reader import latest, shards_of
from local_cloud.poller.store import Store

#: How often a mapping looks for new shards and at its function's role; a shard that ends makes it look at once.
LOOK_SECONDS = 5.0
#: How long looking rests after errors, at most.
REST_SECONDS = 4.0
#: What may be mended by assuming the role anew: it was made again, its rights came later, the session is known no more.
RENEWABLE = (
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
)


@dataclass(frozen=True)
class Service:
    """What all mappings share."""

    aws: aws.Aws
    #: Clients of the service's own identity.
    lambda_client: Any
    sts: Any
    store: Store
    metrics: Metrics
    log: Callable[..., None]
    retention_seconds: int = RETENTION_SECONDS


class MappingRunner:
    def __init__(self, service: Service, mapping: dict[str, Any]) -> None:
        self._service = service
        self.uuid: str = mapping["UUID"]
        self.stream_arn: str = mapping["EventSourceArn"]
        self.lambda_client, self.metrics = service.lambda_client, service.metrics
        self.store = service.store.mapping(self.uuid, self.stream_arn)
        self.running = False
        self._role: aws.FunctionRole | None = None
        self._shards: dict[str, ShardRunner] = {}
        #: The shards that the stream was last described with; None while it is not there.
        self._described: set[str] | None = None
        self._problems: dict[str, str] = {}
        self._result, self._told = "", ""
        self._lock = threading.Lock()
        self._look = threading.Event()
        self._gone = False
        self._failures = 0
        self._take(mapping)
        self._thread = threading.Thread(target=self._run, name=self.uuid, daemon=True)
        self._thread.start()

    # --- what the listing says ---

    def update(self, mapping: dict[str, Any]) -> None:
        """Take over what the mapping is now."""
        if mapping == self._mapping:
            return
        self._take(mapping)
        for shard in list(self._shards.values()):
            shard.wake()
        self.look_again()

    def forget(self) -> None:
        """The mapping is deleted."""
        self._gone = True
        self.running = False
        self.store.forget()
        self.look_again()

    def _take(self, mapping: dict[str, Any]) -> None:
        self._mapping = mapping
        self.function_arn: str = mapping["FunctionArn"]
        self.destination = destination_of(mapping)
        self.counts_events = counts_events(mapping)
        settings = settings_of(mapping, self._service.retention_seconds)
        valid = self._valid(settings)
        if valid:
            self.settings: Settings = settings
        # A mapping that is Updating goes on with what it did: it may be disabled.
        if mapping["State"] != "Updating":
            self._enabled = mapping["State"] == "Enabled"
        self.running = self._enabled and valid

    _enabled = False

    def _valid(self, settings: Settings) -> bool:
        try:
            compile_patterns(settings.patterns)
        except ValueError as error:
            self.problem("filters", f"Invalid filter pattern definition. {error}")
            return False
        self.problem("filters", "")
        return True

    # --- what shards ask for ---

    @property
    def named(self) -> dict[str, str]:
        return {"uuid": self.uuid, "function_arn": self.function_arn, "stream_arn": self.stream_arn}

    def client(self, service: str) -> Any:
        """A client of the function's execution role."""
        role = self._role
        if role is None:
            raise RuntimeError("the function's role is not known yet")
        return role.client(service)

    def lacks(self, shard_id: str) -> bool:
        """The stream is there, without this shard."""
        return self._described is not None and shard_id not in self._described

    def look_again(self) -> None:
        self._look.set()

    def refused(self, where: str, error: Exception) -> None:
        """AWS did not let us read."""
        self.renew_role(error)
        self.problem(where, aws.said(error))
        self.look_again()

    def problem(self, where: str, text: str) -> None:
        """What keeps the mapping from going on, at one place of it; '' when nothing does any more."""
        with self._lock:
            if self._problems.get(where, "") == text:
                return
            self._problems[where] = text
        self.log("problem" if text else "problem is over", where=where, **({"message": text} if text else {}))
        self._tell()

    def processed(self, result: str) -> None:
        self._result = result
        self._tell()

    def _tell(self) -> None:
        """Show the mapping's LastProcessingResult."""
        with self._lock:
            standing = next((text for text in self._problems.values() if text), "")
            result = f"PROBLEM: {standing}" if standing else self._result
            if result == self._told or self._gone:
                return
            self._told = result
            self._service.store.tell(self.uuid, result or "No records processed")

    def log(self, event: str, **details: Any) -> None:
        self._service.log(event, mapping=self.uuid, **details)

    # --- the thread: roles and shards ---

    def _run(self) -> None:
        while not self._gone:
            rest = LOOK_SECONDS
            self._look.clear()
            if self.running or self._must_be_placed():
                try:
                    self._look_at_stream()
                    self._failures = 0
                    self.problem("stream", "")
                except aws.AWS_ERRORS as error:
                    rest = self._rest(error)
                except Exception:  # an error of ours must not end the mapping
                    self.log("error in the poller", trace=traceback.format_exc())
                    rest = REST_SECONDS
            # Woken early when something changed, when a shard ended, and when one was refused.
            self._look.wait(rest)
        for shard in self._shards.values():
            shard.stop()

    def _must_be_placed(self) -> bool:
        """LATEST means the moment of creation, so its place is taken before the mapping is Enabled."""
        return self._mapping.get("StartingPosition") == "LATEST" and not self.store.placed

    def _rest(self, error: Exception) -> float:
        if aws.code(error) == "ResourceNotFoundException":
            # The stream, its table or the function is gone: Lambda keeps quiet, and keeps looking.
            self._described = None
            return REST_SECONDS
        self.renew_role(error)
        self.problem("stream", aws.said(error))
        self._failures += 1
        return min(REST_SECONDS, 0.25 * 2**self._failures)

    def renew_role(self, error: Exception) -> None:
        """Where that may help, assume the role anew."""
        if self._role and aws.code(error) in RENEWABLE:
            self._role.renew()

    def _look_at_stream(self) -> None:
        self._know_role()
        streams = self.client("dynamodbstreams")
        shards = shards_of(streams, self.stream_arn)
        if not self.store.placed:
            starts_latest = self._mapping.get("StartingPosition") == "LATEST"
            self.store.place(latest(streams, self.stream_arn, shards) if starts_latest else {})
        self._described = {shard["ShardId"] for shard in shards}
        if not self.running:
            return
        self._shards = {shard: runner for shard, runner in self._shards.items() if not runner.finished}
        for shard_id in readable(shards, self.store.saved()):
            if shard_id not in self._shards:
                self._shards[shard_id] = ShardRunner(self, shard_id)
        self.store.keep_only(self._described | self._shards.keys())

    def _know_role(self) -> None:
        configuration = self.lambda_client.get_function_configuration(FunctionName=self.function_arn)
        arn = configuration["Role"]
        if self._role is None or self._role.arn != arn:
            name = function_name(self.function_arn)
            self._role = aws.FunctionRole(self._service.aws, self._service.sts, arn, name)
