#!/usr/bin/env python
"""What `make demo` deployed and proved, by the outputs and reports in build/: tools/demo_summary.py INVENTORY"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build"
DEPLOYED = {
    "table": "table_name",
    "function": "function_name",
    "mapping": "event_source_mapping_uuid",
    "audit bucket": "audit_bucket",
    "change topic": "change_topic_arn",
    "alarm topic": "alarm_topic_arn",
    "failure queue": "failure_queue_url",
    "log group": "log_group",
    "alarms": "alarm_names",
}
#: Between the names of a list, each on a line of its own.
SEPARATOR = f"\n{'':<17}"


def pipeline(outputs: dict, report: dict) -> list[str]:
    lines = [
        f"  {what:<14} {SEPARATOR.join(v) if isinstance(v := outputs[key], list) else v}"
        for what, key in DEPLOYED.items()
    ]
    lines += [f"  {each['event_name']:<6} of item {each['item']}: {went(each)}" for each in report["changes"]]
    for channel, latency in report["latency"].items():
        if latency["count"]:
            told = f"median {latency['median']} ms, p95 {latency['p95']} ms, max {latency['max']} ms"
            lines.append(f"  {channel:<14} {told}")
    return lines


def went(change: dict) -> str:
    """Where a change came out of the pipeline."""
    if change["expected"] is False:
        return "held back by the filters"
    audited = f"audited in {change['audit_latency_ms']} ms" if change["audit_key"] else "not audited"
    form = (change["notification"] or "").replace("_", " ")
    notified = f"notified in {change['notification_latency_ms']} ms ({form})" if form else "not notified"
    return f"{audited}, {notified}{'' if change['audit_key'] and form else ', by the rules'}"


def main(inventory: str) -> int:
    listed = subprocess.run(
        ["ansible-inventory", "-i", inventory, "--list"], stdout=subprocess.PIPE, text=True, check=True
    )
    # Outputs of pipelines that are no longer in the inventory are none of this run's.
    for name in sorted(json.loads(listed.stdout)["cdc_pipelines"]["hosts"]):
        file = Path(Path(inventory).name) / f"{name}.json"
        outputs = json.loads((BUILD / "outputs" / file).read_text())
        report = json.loads((BUILD / "verify" / file).read_text())
        print(f"\n{name}, deployed to {outputs['endpoint_url']} and verified:")
        print("\n".join(pipeline(outputs, report)))
    print(
        '\nThe local cloud goes on running. Look around with: . .venv/bin/activate; eval "$(python -m local_cloud env)"'
    )
    print("Stop it with: make local-down")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
