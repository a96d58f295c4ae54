"""From measurements to figures, limits, costs and tables."""

from __future__ import annotations

import pytest

from benchmarks import costs, limits, report, tables
from benchmarks.candidates import CANDIDATES, SIZES
from benchmarks.figures import per_record, summarize
from benchmarks.run import DOCS, plan
from benchmarks.spread import Spread, spread

# A run in which everything holds; the baseline needs a second for 20 records.
_SECONDS = {"recipe": 1 / 20, "per_change": 1 / 2000, "per_batch": 1 / 10000}
_CPU_MS = {"recipe": 5, "per_change": 0.5, "per_batch": 0.2}
_CALLS = {"recipe": (1, 1), "per_change": (1, 0.1), "per_batch": (0.01, 0.1)}
_PEAK_MB = {"recipe": 60}
_IMPORT_MS = {"recipe": 300}


def measured(name, size, **other):
    s3, sns = _CALLS[name]
    return {
        "candidate": name,
        "size": size,
        "records": size,
        "wall_s": size * _SECONDS[name],
        "cpu_s": size * _CPU_MS[name] / 1000,
        "peak_mb": _PEAK_MB.get(name, 40),
        "log_bytes": 500,
        "s3_calls": size * s3,
        "sns_calls": size * sns,
        **other,
    }


def raw_run():
    starts = [
        {"candidate": name, "import_ms": _IMPORT_MS.get(name, 60), "source_ms": 80, "first_ms": 90} for name in _SECONDS
    ]
    return {
        "machine": {"python": "3.13.0", "cpus": 2, "cpu": "some", "date": "2026-01-01", "load_before": 0.1},
        "stub": {"s3_ms": 30, "sns_ms": 15},
        "rounds": 1,
        "metrics": 10,
        "runs": [measured(name, size) for name in _SECONDS for size in SIZES],
        "starts": starts,
        "memory": [
            {"layout": layout, "event": event, "peak_mb": 100}
            for layout in limits.LAYOUTS
            for event in ("small", "large")
        ],
        "log": [
            {"what": "with metrics", "us_per_line": 60},
            {"what": "without metrics", "us_per_line": 40},
        ],
    }


def test_a_figure_is_the_median_with_its_range():
    assert spread([5, 1, 3]) == Spread(3, 1, 5)


def test_figures_do_not_depend_on_how_much_was_measured():
    once, twice = measured("per_change", 100), measured("per_change", 200)
    assert per_record(once) == pytest.approx({**per_record(twice), "log_bytes": 5})


def test_every_limit_holds_of_a_run_in_which_everything_is_well():
    verdicts = limits.check(summarize(raw_run()))
    assert [verdict.limit.text for verdict in verdicts if not verdict.holds] == []
    assert len(verdicts) == len(limits.LIMITS)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"wall_s": 1.0}, {"times the recipe-style baseline's records/s, batch 100"}),
        ({"cpu_s": 0.1}, {"CPU-ms a record, batch 100"}),
        ({"s3_calls": 200}, {"API calls per 1 000 changes, batch 100"}),
        ({"peak_mb": 61}, {"peak memory, share of the baseline's, batch 100"}),
    ],
)
def test_a_limit_that_is_missed_is_named(change, missed):
    raw = raw_run()
    for run in raw["runs"]:
        if run["size"] == 100 and run["candidate"] == "per_change":
            run.update(change)
    verdicts = limits.check(summarize(raw))
    assert {verdict.limit.text for verdict in verdicts if not verdict.holds} == missed
    assert {verdict.limit.layout for verdict in verdicts if not verdict.holds} == {"per_change"}


@pytest.mark.parametrize(("event", "text"), [("small", "10 000 small records"), ("large", "6 MB of 400 KB items")])
def test_an_event_that_needs_too_much_memory_is_named(event, text):
    raw = raw_run()
    for each in raw["memory"]:
        if each["event"] == event:
            each["peak_mb"] = 257
    missed = [verdict.limit for verdict in limits.check(summarize(raw)) if not verdict.holds]
    assert [limit.text.partition(",")[0] for limit in missed] == [text, text]
    assert [limit.layout for limit in missed] == list(limits.LAYOUTS)


def test_an_import_is_held_against_a_third_of_the_baselines():
    raw = raw_run()
    for each in raw["starts"]:
        each["import_ms"] = 90
    missed = {verdict.limit.text for verdict in limits.check(summarize(raw)) if not verdict.holds}
    assert missed == {"cold import, share of the baseline's"}


def test_rounds_go_through_all_candidates_in_turn():
    slow, fast = (next(each for each in CANDIDATES if each.name == name) for name in ("recipe", "per_batch"))
    planned = [(candidate.name, size) for candidate, size in plan(2, (10, 1000), [slow, fast])]
    assert planned == [
        (slow.name, 10),
        (fast.name, 10),
        (slow.name, 1000),
        (fast.name, 1000),
        (slow.name, 10),
        (fast.name, 10),
        (fast.name, 1000),
    ]


USAGE = costs.Usage(size=100, wall_ms=2, cpu_ms=0.1, s3_calls=1, sns_calls=0.1, log_bytes=10, message_bytes=3000)


def test_a_million_changes_cost_what_the_price_lists_say():
    cost = costs.per_million(USAGE)
    assert cost.s3 == pytest.approx(5.0)
    assert cost.sns == pytest.approx(0.05)
    assert cost.requests == pytest.approx(10_000 * 0.20e-6)
    assert cost.compute == pytest.approx(2000 * 0.25 * 0.0000133334)
    assert cost.logs == pytest.approx((10e6 + 3.5e6) / 1e9 * 0.50)
    assert cost.total == pytest.approx(cost.s3 + cost.sns + cost.requests + cost.compute + cost.logs)


def test_cpu_counts_where_the_functions_share_of_a_cpu_makes_it_longer():
    slow = costs.Usage(**{**USAGE.__dict__, "cpu_ms": 1})
    at_256, at_1769 = costs.per_million(slow), costs.per_million(slow, 1769)
    assert at_256.compute == pytest.approx(1000 / (256 / 1769) * 0.25 * 0.0000133334)
    assert at_1769.compute == pytest.approx(2000 * 1769 / 1024 * 0.0000133334)


def test_a_publish_is_billed_by_the_64_kb_it_carries():
    # Ten messages of 20 KB in one call are four times 64 KB.
    large = costs.Usage(**{**USAGE.__dict__, "message_bytes": 20_000})
    assert costs.per_million(large).sns == pytest.approx(4 * costs.per_million(USAGE).sns)


def test_a_digest_is_billed_as_one_publish_a_batch():
    raw = raw_run()
    raw["runs"].append({**measured("per_batch", 100), "candidate": "digest", "sns_calls": 1})
    assert costs.table(summarize(raw))["digest", 100].sns == pytest.approx(10_000 * 0.50e-6)


def test_the_tables_name_every_figure_and_limit():
    raw = raw_run()
    figures = summarize(raw)
    text = report.render(raw, figures, limits.check(figures))
    assert "| **ours, per_batch** | 1 000 | 10000 | 500.0 | 0.20 | 110 | 40 |" in text
    assert text.count("| yes |") == len(limits.LIMITS)
    assert "costs 60 µs of CPU, 20 of them for its 10 metrics" in text
    assert "not quiet" not in text


def test_a_missed_limit_stands_out():
    raw = raw_run()
    raw["memory"][0]["peak_mb"] = 300
    figures = summarize(raw)
    assert report.render(raw, figures, limits.check(figures)).count("| **no** |") == 1


def test_a_busy_machine_is_told():
    raw = raw_run()
    raw["machine"]["load_before"] = 1.5
    figures = summarize(raw)
    assert "not quiet: its load was 1.5" in report.render(raw, figures, limits.check(figures))


def test_the_cost_table_has_every_function_and_size():
    raw = raw_run()
    rows = report.cost_rows(summarize(raw))
    assert [row[1] for row in rows] == ["10"] * 3 + ["100"] * 3 + ["1 000"] * 3
    assert {row[0] for row in rows} == {"recipe-style (boto3)", "**ours, per_change**", "**ours, per_batch**"}
    assert report.render_costs(raw, summarize(raw)).count("https://aws.amazon.com/") == len(costs.PRICES)


def test_a_lane_is_as_fast_as_its_share_of_a_cpu_or_its_calls_allow():
    slow = costs.Usage(**{**USAGE.__dict__, "cpu_ms": 1})
    assert costs.per_second(slow, 256) == pytest.approx(1000 * 256 / 1769)
    assert costs.per_second(slow, 1769) == pytest.approx(500)


def test_the_table_of_lanes_has_the_functions_own_and_the_baseline():
    rows = report.lane_rows(summarize(raw_run()))
    assert rows[:2] == [
        ("recipe-style (boto3)", "10", "14", "20", "20", "20", "20"),
        ("**ours, per_change**", "10", "145", "289", "579", "1158", "2000"),
    ]


def test_the_docs_have_a_place_for_every_table():
    text = DOCS.read_text(encoding="utf-8")
    for name in ("figures", "costs", "lanes"):
        tables.replace_between(text, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", "new")


def test_a_terminal_gets_columns():
    assert (
        tables.plain("a **b**\n\n| x | long |\n| --- | --- |\n| longer | y |\n") == "a b\n\nx       long\nlonger  y\n"
    )


def test_text_between_markers_is_replaced_and_nothing_else():
    text = "before\n<!-- a -->\nold\n<!-- b -->\nafter\n"
    once = tables.replace_between(text, "<!-- a -->", "<!-- b -->", "new")
    assert once == "before\n<!-- a -->\n\nnew\n\n<!-- b -->\nafter\n"
    assert tables.replace_between(once, "<!-- a -->", "<!-- b -->", "new") == once


def test_a_missing_marker_is_an_error():
    with pytest.raises(ValueError, match="markers"):
        tables.replace_between("<!-- b --><!-- a -->", "<!-- a -->", "<!-- b -->", "new")
