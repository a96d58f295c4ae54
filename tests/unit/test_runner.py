"""The flow every module shares: read, plan, apply, report."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import Plan, Step, run_resource


class Left(Exception):
    """The module ended, with what it told the user."""


class FakeModule:
    def __init__(self, check_mode=False, diff=False):
        self.check_mode, self._diff = check_mode, diff

    def exit_json(self, **told):
        raise Left("exit", told)

    def fail_json(self, **told):
        raise Left("fail", told)

    def fail_json_aws_error(self, exc):
        raise Left("fail", {"msg": exc.message})


class Lamp:
    def __init__(self, lit, wanted, error=None):
        self.state, self.wanted, self.error, self.writes = {"lit": lit}, wanted, error, []

    def read(self):
        return dict(self.state)

    def plan(self, current):
        if self.error:
            raise self.error
        steps = () if current["lit"] == self.wanted else (Step("switch", {"lit": self.wanted}),)
        return Plan(current, {"lit": self.wanted}, steps)

    def apply(self, plan):
        self.writes.extend(plan.steps)
        self.state = {"lit": plan.steps[0].request["lit"]}

    def result(self, state):
        return {"lamp": state}


def run(lamp, **mode):
    with pytest.raises(Left) as left:
        run_resource(FakeModule(**mode), lamp)
    return left.value.args


def test_a_difference_is_written_once_and_reported():
    lamp = Lamp(lit=False, wanted=True)
    assert run(lamp) == ("exit", {"changed": True, "lamp": {"lit": True}})
    assert [step.call for step in lamp.writes] == ["switch"]


def test_no_difference_writes_nothing():
    lamp = Lamp(lit=True, wanted=True)
    assert run(lamp) == ("exit", {"changed": False, "lamp": {"lit": True}})
    assert lamp.writes == []


def test_check_mode_reports_the_change_without_writing_it():
    lamp = Lamp(lit=False, wanted=True)
    how, told = run(lamp, check_mode=True, diff=True)
    assert (how, told["changed"], told["diff"]) == ("exit", True, {"before": {"lit": False}, "after": {"lit": True}})
    assert lamp.writes == []


def test_refused_input_is_told_and_nothing_is_written():
    lamp = Lamp(lit=False, wanted=True, error=InputError("a lamp has no colour"))
    assert run(lamp) == ("fail", {"msg": "a lamp has no colour"})


def test_an_aws_error_keeps_its_words():
    lamp = Lamp(lit=False, wanted=True, error=AnsibleAWSError(message="Failed to switch the lamp"))
    assert run(lamp) == ("fail", {"msg": "Failed to switch the lamp"})
