"""A baseline has every item once, whatever is written meanwhile and wherever a run of it is killed."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import baselines
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.completeness import completeness
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.history.logs import PREFIX, client_error
from tests.unit.pipeline_baseline.scene import BEGIN, Killed, Scene, Writer, same


def test_it_has_every_item_and_makes_the_log_complete():
    scene = Scene()
    told = scene.run(segments=3)
    (manifest,) = scene.manifests()
    assert same(scene.snapshot(manifest), scene.table.items)
    assert told["changed"] and told["committed"] and not told["resumed"]
    assert (told["item_count"], told["objects"]) == (40, len(manifest["objects"]))
    assert manifest["watermark"] == "2026-01-31T09:59:55Z"
    assert manifest["keySchema"] == [{"name": "Id", "type": "S"}]
    entries = baselines.read_journal(scene.s3.store(), PREFIX)
    assert completeness(entries, [manifest], scene.clock.utc(), scene.clock.utc()).baseline == manifest


def test_of_an_empty_table_it_is_one_without_objects():
    scene = Scene(items=0)
    told = scene.run()
    assert told["committed"] and told["item_count"] == told["objects"] == 0


def test_binary_values_are_as_in_envelopes():
    scene = Scene(items=0)
    scene.table.items["a"] = {"Id": {"S": "a"}, "Bytes": {"B": b"\x00\xff"}}
    scene.run()
    assert scene.snapshot(scene.manifests()[0])["a"]["Bytes"] == {"B": "AP8="}


def test_check_mode_estimates_and_writes_nothing():
    scene = Scene()
    scene.table.description |= {"ItemCount": 40, "TableSizeBytes": 40_960}
    scene.table.description["ProvisionedThroughput"] = {"ReadCapacityUnits": 5}
    before = dict(scene.s3.objects)
    told = scene.run(dry=True)
    assert told["changed"] and not told["committed"] and scene.s3.objects == before and not scene.table.limits
    assert told["estimate"] == {
        "item_count": 40, "bytes": 40_960, "read_capacity": 10, "read_capacity_per_second": 2.5, "seconds": 4,
    }  # fmt: skip
    assert "about 40 items" in told["message"]


@pytest.mark.parametrize("effect", ["before", "after"])
def test_killed_at_any_call_it_is_gone_on_with(effect):
    """Each call to S3 of a run is its last one in turn, with and without its effect."""
    for last in itertools.count(1):
        scene = Scene()
        count = itertools.count(1)
        put = scene.s3.put_object

        def end(name, request, scene=scene, count=count, last=last, put=put):
            if next(count) == last:
                if effect == "after" and name == "put_object":
                    scene.s3.before = lambda name, request: None
                    put(**request)
                raise Killed

        scene.s3.before = end
        try:
            scene.run(object_bytes=1024)
        except Killed:
            scene.s3.before = lambda name, request: None
        else:
            break
        begun = baselines.baseline_ids(scene.s3.store(), PREFIX)
        manifests = scene.manifests()
        scene.clock.pause(30)
        # Items that come and go between the runs.
        scene.table.items.pop("item 006", None)
        scene.table.items["item 0065"] = {"Id": {"S": "item 0065"}}
        told = scene.run(object_bytes=1024)
        assert told["committed"]
        assert told["resumed"] == (bool(begun) and not manifests)
        assert set(baselines.baseline_ids(scene.s3.store(), PREFIX)) == {*begun, told["baseline_id"]}
        manifest = scene.manifests()[-1]
        kept = set(scene.table.items) - {"item 006", "item 0065"}
        assert kept <= set(scene.snapshot(manifest))
    assert last > 10


@given(st.integers(0, 10**6), st.integers(1, 4), st.lists(st.integers(3, 30), max_size=3))
def test_with_the_log_it_tells_the_state_of_the_table_under_writes(seed, segments, kills):
    scene = Scene()
    writer = Writer(scene, seed)
    scene.table.before = writer.write
    for kill in kills:
        count = itertools.count(1)

        def end(name, request, count=count, kill=kill):
            if next(count) >= kill:
                raise Killed

        scene.s3.before = end
        try:
            scene.run(segments=segments)
        except Killed:
            pass
        finally:
            scene.s3.before = lambda name, request: None
        writer.write()
    scene.run(segments=segments)
    manifest = scene.manifests()[-1]
    for _moment in range(3):
        scene.clock.pause(2)
        assert same(writer.rebuilt(manifest, scene.clock.utc()), scene.table.items)
        writer.write()


def test_two_runs_at_once_come_to_one_baseline():
    """The second begins when the first has written an object, and ends before it."""
    scene = Scene()
    told = {}

    def second(name, request):
        if name == "put_object" and request["Key"].endswith("0000-00000002.ndjson.gz"):
            scene.s3.before = lambda name, request: None
            scene.table.page = 5
            told["second"] = scene.run()

    scene.s3.before = second
    told["first"] = scene.run()
    assert told["first"]["baseline_id"] == told["second"]["baseline_id"] and told["second"]["resumed"]
    assert told["first"]["item_count"] == told["second"]["item_count"] == 40
    assert same(scene.snapshot(scene.manifests()[0]), scene.table.items)


class TestWhatIsGoneOnWith:
    @staticmethod
    def broken_off(scene: Scene) -> str:
        def end(name, request):
            if name == "put_object" and request["Key"].endswith("0000-00000001.ndjson.gz"):
                raise Killed

        scene.s3.before = end
        with pytest.raises(Killed):
            scene.run()
        scene.s3.before = lambda name, request: None
        (name,) = baselines.baseline_ids(scene.s3.store(), PREFIX)
        return name

    def test_is_the_newest_with_its_watermark_and_its_segments(self):
        scene = Scene()
        name = self.broken_off(scene)
        scene.clock.pause(3600)
        told = scene.run(segments=4)
        assert (told["baseline_id"], told["watermark"]) == (name, "2026-01-31T09:59:55Z")
        assert {each["key"].rpartition("/")[2][:4] for each in scene.manifests()[0]["objects"]} == {"0000"}

    def test_is_the_one_that_is_named(self):
        scene = Scene()
        name = self.broken_off(scene)
        assert scene.run(baseline_id=name)["resumed"]
        told = scene.run(baseline_id=name)
        assert not told["changed"] and told["committed"] and told["item_count"] == 40

    def test_is_none_where_a_new_one_is_asked_for(self):
        scene = Scene()
        name = self.broken_off(scene)
        assert scene.run(new=True)["baseline_id"] != name

    def test_is_none_after_a_day(self):
        scene = Scene()
        name = self.broken_off(scene)
        scene.clock.pause(24 * 3600)
        with pytest.raises(InputError, match="more than 24 hours ago"):
            scene.run(baseline_id=name)
        assert not scene.run()["resumed"]

    def test_is_none_after_a_time_in_which_the_log_was_not_complete(self):
        scene = Scene()
        name = self.broken_off(scene)
        scene.note(BEGIN + timedelta(minutes=1), complete=False, reasons=["it rained"])
        scene.note(BEGIN + timedelta(minutes=2))
        scene.clock.pause(600)
        with pytest.raises(InputError, match="it rained"):
            scene.run(baseline_id=name)
        assert not scene.run()["resumed"]

    def test_is_none_of_another_stream(self):
        scene = Scene()
        name = self.broken_off(scene)
        scene.table.description["TableId"] = "id-2"
        scene.note(BEGIN + timedelta(minutes=1), tableId="id-2")
        scene.clock.pause(600)
        with pytest.raises(InputError, match="another stream or table"):
            scene.run(baseline_id=name)
        assert not scene.run()["resumed"]

    def test_must_be_there(self):
        with pytest.raises(InputError, match=r"There is no baseline 2026\d+T\d+Z-00000000"):
            Scene().run(baseline_id="20260131T100000Z-00000000")

    def test_fails_where_an_object_in_its_way_is_damaged(self):
        scene = Scene()
        name = self.broken_off(scene)
        scene.s3.objects[baselines.page_key(PREFIX, name, 0, 1)] = b"no gzip"
        with pytest.raises(ValueError, match=r"0000-00000001.ndjson.gz is damaged"):
            scene.run()


class TestRefusals:
    @staticmethod
    def refused(scene: Scene, **options) -> str:
        before = dict(scene.s3.objects)
        for dry in (True, False):
            with pytest.raises(InputError) as found:
                scene.run(dry, **options)
        assert scene.s3.objects == before and not scene.table.limits
        return str(found.value)

    def test_without_a_table(self):
        scene = Scene()
        scene.table.description = None
        assert self.refused(scene) == "There is no table Items."

    @pytest.mark.parametrize(
        ("stream", "why"),
        [
            ({"StreamEnabled": False}, "the table has no stream"),
            ({"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, "the stream's view type is KEYS_ONLY"),
        ],
    )
    def test_without_a_whole_stream(self, stream, why):
        scene = Scene()
        scene.table.description["StreamSpecification"] = stream
        assert why in self.refused(scene)

    @pytest.mark.parametrize(
        ("mapping", "why"),
        [
            ({"State": "Disabled"}, "the event source mapping uuid-1 is Disabled, not Enabled"),
            ({"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:other"}, "no event source mapping of the"),
            ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "the event source mapping has filters"),
        ],
    )
    def test_without_a_mapping_that_takes_all(self, mapping, why):
        scene = Scene()
        scene.mappings.found[0] |= mapping
        assert why in self.refused(scene)

    def test_where_rules_leave_something_out(self):
        told = self.refused(Scene(), rules=[{"name": "calm", "sinks": []}, {"audit": {"drop": ["a"]}}])
        assert "the rule calm keeps changes out" in told and "rule 2 drops attributes" in told

    def test_without_a_journal_or_by_its_word(self):
        scene = Scene()
        scene.s3.objects.clear()
        assert "has no journal" in self.refused(scene)
        scene.note(BEGIN - timedelta(minutes=9), complete=False, reasons=["it rained"])
        assert "the log's journal says: it rained" in self.refused(scene)
        scene.note(BEGIN - timedelta(minutes=8), streamArn="another")
        assert "is about another stream" in self.refused(scene)
        scene.s3.objects[f"{PREFIX}journal/20260131T100000Z-00000000.json"] = b""
        assert "cannot be read" in self.refused(scene)

    def test_without_a_bucket(self):
        scene = Scene()

        def missing(name, request):
            raise client_error("NoSuchBucket", 404, name)

        scene.s3.before = missing
        assert "there is no audit bucket bucket" in self.refused(scene)

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"segments": 0}, "segments must be from 1 to 32"),
            ({"object_bytes": 10}, "object_bytes must be from 1024"),
            ({"baseline_id": "../x"}, "baseline_id must be that of a baseline"),
            ({"baseline_id": "20260131T100000Z-00000000", "new": True}, "give one of them"),
        ],
    )
    def test_of_options_that_cannot_be(self, options, why):
        assert why in self.refused(Scene(), **options)

    def test_awss_own_words_where_it_refuses(self):
        scene = Scene()

        def denied(name, request):
            raise client_error("AccessDenied", 403, name)

        scene.s3.before = denied
        with pytest.raises(AnsibleAWSError, match="read the journal of the log"):
            scene.run()


class TestBeforeTheCommit:
    def test_a_log_that_has_become_incomplete_makes_it_worthless(self):
        scene = Scene()
        scene.table.before = lambda: scene.note(BEGIN + timedelta(seconds=1), complete=False, reasons=["it rained"])
        with pytest.raises(InputError, match="it rained"):
            scene.run()
        assert scene.manifests() == []

    def test_nor_one_that_was_incomplete_for_a_moment(self):
        scene = Scene()

        def rain():
            scene.note(BEGIN + timedelta(seconds=1), complete=False, reasons=["it rained"])
            scene.note(BEGIN + timedelta(seconds=2))

        scene.table.before = rain
        with pytest.raises(InputError, match="is not committed: .*it rained"):
            scene.run()
        assert scene.manifests() == []


def test_it_waits_until_the_last_deploy_has_settled():
    scene = Scene()
    scene.note(BEGIN - timedelta(seconds=10), settled="2026-01-31T10:04:50Z")
    told = scene.run()
    assert told["watermark"] >= "2026-01-31T10:04:50Z"
    assert scene.clock.utc() < BEGIN + timedelta(minutes=6)


def test_it_outlives_what_the_journal_said_before_it_where_a_lifecycle_deletes():
    scene = Scene()
    scene.s3.objects.clear()
    scene.note(BEGIN - timedelta(days=25), expirationDays=30)
    (old,) = scene.s3.objects
    scene.run()
    del scene.s3.objects[old]
    (manifest,) = scene.manifests()
    entries = baselines.read_journal(scene.s3.store(), PREFIX)
    later = BEGIN + timedelta(days=29)
    assert completeness(entries, [manifest], later, later).baseline == manifest
    assert not completeness(entries, [manifest], later, later + timedelta(days=2)).complete


class TestThePace:
    def test_keeps_to_read_capacity(self):
        scene = Scene(items=400)
        began = scene.clock.now()
        scene.run(segments=1, read_capacity=10)
        # Half a unit an item; the first 25 are free to come at once.
        assert 18 <= scene.clock.now() - began <= 26

    def test_keeps_to_items(self):
        scene = Scene(items=400)
        began = scene.clock.now()
        scene.run(segments=1, items_per_second=20)
        assert 18 <= scene.clock.now() - began <= 26

    def test_takes_half_of_what_a_provisioned_table_has(self):
        scene = Scene(items=100)
        scene.table.description["ProvisionedThroughput"] = {"ReadCapacityUnits": 20}
        began = scene.clock.now()
        scene.run(segments=1)
        assert 3 <= scene.clock.now() - began <= 9

    def test_asks_for_about_a_second_s_worth_of_items(self):
        scene = Scene(items=400)
        scene.table.page = 1000
        scene.run(segments=1, read_capacity=10)
        assert scene.table.limits[0] == 25 and set(scene.table.limits[1:]) == {20}
