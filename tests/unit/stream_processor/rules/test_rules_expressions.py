"""The expression language: what it answers, exactly, and what it refuses, with line and column."""

from __future__ import annotations

from fractions import Fraction

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.envelope import to_envelope
from stream_processor.rules.change import Change
from stream_processor.rules.expression import MAXIMUM_LENGTH, compile_expression, problems
from stream_processor.rules.untyped import Unreadable
from stream_processor.rules.values import EvaluationError

from tests.unit.stream_processor.rules.plain_values import typed
from tests.unit.stream_records import make_record, numbers, sample

# The library reads `text` as it once did, before it is refused here.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated string literal syntax")


def answer(expression, old=None, new=None, **options):
    keys = {"Id": {"S": "item"}}
    old, new = (None if image is None else {**image, **keys} for image in (old, new))
    return compile_expression(expression)(Change(to_envelope(make_record(keys, old=old, new=new, **options))))


ORDER = {
    "Amount": {"N": "1000.01"},
    "status": {"S": "CANCELLED"},
    "Tags": {"SS": ["web", "new"]},
    "Sizes": {"NS": ["10", "9.5"]},
    "Lines": {"L": [{"M": {"sku": {"S": "a-1"}, "count": {"N": "2"}}}, {"BOOL": False}]},
    "user-id": {"S": "it's me"},
    "Raw": {"B": "AAE="},
    "Nothing": {"NULL": True},
    "Zero": {"N": "0"},
    "Text": {"S": "12.50"},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("new.Amount > `1000`", True),
        ("new.Amount <= `1000.01`", True),
        ("new.Amount == `1000.010`", True),
        ("new.Amount != `1000.01`", False),
        ("new.Amount == '1000.01'", False),
        ("new.status > `1`", None),
        ("new.Missing > `1`", None),
        ("old.Amount > `1`", None),
        ("new.Missing == `null` && new.Nothing == `null`", True),
        ("new.Amount.deeper", None),
        ("old.status != 'CANCELLED' && new.status == 'CANCELLED'", True),
        ("(old || new).status", "CANCELLED"),
        ("new.Missing || 'default'", "default"),
        ("new.\"user-id\" == 'it\\'s me'", True),
        ("new.Lines[0].sku", "a-1"),
        ("new.Lines[-1]", False),
        ("new.Lines[2]", None),
        ('new.Lines[0] == `{"count": 2.0, "sku": "a-1"}`', True),
        ("new.Sizes == `[9.5, 10]`", True),
        ('new.Tags == `["new", "web"]`', True),
        ("new.Raw", "AAE="),
        ("!(new.Zero)", False),
        ("!(new.Nothing)", True),
        ("!old && !(old.status)", True),
        ("`true` == `1`", False),
        ("contains(new.Tags, 'web')", True),
        ("contains(new.Sizes, `10.0`)", True),
        ("contains(`[true]`, `1`)", False),
        ("contains(new.status, 'CANC')", True),
        ("contains(new.status, `1`)", False),
        ('contains(`["CANCELLED", "LOST"]`, new.status)', True),
        ("contains(new.Missing, 'x')", None),
        ("starts_with(new.status, 'CANC') && ends_with(new.status, 'LED')", True),
        ("starts_with(new.Missing, 'x')", None),
        ("ends_with('x', new.Missing)", None),
        ("length(new.status)", 9),
        ("length(new)", 11),
        ("length(new.Lines[0])", 2),
        ("abs(`-3`)", 3),
        ("not_null(old.Amount, new.Missing, new.status)", "CANCELLED"),
        ("not_null(old.Amount)", None),
        ("to_number(new.Text) == `12.5`", True),
        ("to_number(new.Amount) == new.Amount", True),
        ("to_number(new.status)", None),
        ("to_number('1e99999999999999999999')", None),
        ("new == new && !(new == keys)", True),
        ("keys.Id", "item"),
        ("eventName", "INSERT"),
        ("table", "Items"),
        ("timestamp", "2026-01-01T00:00:00Z"),
        ("expired", False),
        ("changed", []),
    ],
)
def test_an_expression_answers_as_documented(expression, expected):
    found = answer(expression, new=ORDER)
    assert found == expected and isinstance(found, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("`null`", "null"), ("`1.5`", "number"), ("'a'", "string"), ("expired", "boolean"), ("changed", "array"),
        ("new", "object"), ("new.Lines[0]", "object"), ("old", "null"),
    ],
)  # fmt: skip
def test_types_have_jmespaths_names(value, expected):
    assert answer(f"type({value})", new=ORDER) == expected


def test_what_changed_and_what_expired_can_be_asked():
    old, new = {"a": {"S": "1"}, "b": {"S": "1"}}, {"a": {"S": "2"}, "b": {"S": "1"}}
    assert answer("changed == `[\"a\"]` && contains(changed, 'a')", old=old, new=new) is True
    expired = Change(to_envelope(sample("ttl_remove")))
    assert compile_expression("expired && eventName == 'REMOVE' && !new")(expired) is True
    assert compile_expression("expired")(Change(to_envelope(sample("ttl_remove_capitals")))) is True
    assert compile_expression("expired")(Change(to_envelope(sample("remove")))) is False


def test_images_that_the_stream_does_not_carry_are_null():
    assert answer("old == `null` && new == `null` && keys.Id == 'item'", new=ORDER, view="KEYS_ONLY") is True


# Numbers

#: As they may stand in an item and, being JSON too, in backticks.
PAIRS = st.tuples(numbers(), numbers()) | numbers().map(lambda text: (text, text))


@given(PAIRS)
def test_numbers_compare_exactly_whether_attributes_or_literals(pair):
    one, other = map(Fraction, pair)
    image = {"A": {"N": pair[0]}, "B": {"N": pair[1]}}
    for sign, expected in (("<", one < other), ("<=", one <= other), ("==", one == other), ("!=", one != other)):
        assert answer(f"new.A {sign} new.B", new=image) is expected
        assert answer(f"new.A {sign} `{pair[1]}`", new=image) is expected
        assert answer(f"`{pair[0]}` {sign} new.B", new=image) is expected


@given(st.integers(10**37, 10**38 - 2), st.integers(0, 60))
def test_the_last_of_38_digits_counts(digits, scale):
    image = {"A": {"N": f"{digits}E-{scale}"}}
    assert answer(f"new.A == `{digits}E-{scale}`", new=image) is True
    assert answer(f"new.A < `{digits + 1}E-{scale}` && new.A > `{digits - 1}E-{scale}`", new=image) is True
    assert answer(f"abs(`-{digits}E-{scale}`) == new.A", new=image) is True
    assert answer(f"to_number('{digits}E-{scale}') == new.A", new=image) is True


def test_a_tenth_is_a_tenth():
    assert answer("new.A == `0.1` && new.A == `1e-1`", new={"A": {"N": "0.1"}}) is True
    assert answer("new.A == `0.1`", new={"A": {"N": "0.1000000000000000055511151231257827"}}) is False


# As the library has it

_VALUES = st.sampled_from(["a", "ab", "", 2, 7, 0, -3, None, True, False, ["a", 2, 7], [], {"a": "ab", "b": 2}, {}])
_MEMBERS = st.dictionaries(st.sampled_from(["a", "b", "c"]), _VALUES, min_size=1)
_PATHS = st.sampled_from(
    ["new", "old", "new.a", "new.b", "old.a", "old.b", "new.c.a", "new.c[0]", "old.c[-1]", "(new || old).a"]
)
_LITERALS = st.sampled_from(["`2`", "`-3`", "'a'", "`null`", "`true`", "`[]`", '`["a", 2, 7]`', "''", "`0`"])
_OPERANDS = _PATHS | _LITERALS | st.builds("{}({})".format, st.sampled_from(["type", "not_null", "length"]), _PATHS)
_COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, _OPERANDS, st.sampled_from(["==", "!="]), _OPERANDS),
    st.builds("{} {} `{}`".format, _PATHS, st.sampled_from(["<", "<=", ">", ">="]), st.integers(-5, 9)),
    st.builds("contains({}, {})".format, _PATHS, _OPERANDS),
    st.builds("{}({}, {})".format, st.sampled_from(["starts_with", "ends_with"]), _PATHS, _PATHS | st.just("'a'")),
    _OPERANDS,
)
_EXPRESSIONS = st.recursive(
    _COMPARISONS,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["&&", "||"]), inner),
        st.builds("!({})".format, inner),
        st.builds("({})".format, inner),
    ),
    max_leaves=4,
)


@given(_EXPRESSIONS, _MEMBERS, _MEMBERS)
def test_the_answer_is_the_librarys_wherever_floats_do_not_matter(expression, old, new):
    plain = {"old": {**old, "Id": "item"}, "new": {**new, "Id": "item"}}
    try:
        expected = jmespath.search(expression, plain)
    except (jmespath.exceptions.JMESPathError, TypeError):
        return  # a type that a function does not take: null here, or an error here too
    assert problems(expression) == []
    found = answer(expression, *({name: typed(each) for name, each in image.items()} for image in (old, new)))
    if hasattr(found, "get"):
        found = {name: found.get(name) for name in found}
    assert found == expected and isinstance(found, bool) == isinstance(expected, bool)


# What is refused

SUBSET = [
    ("new.Amount > 1000", "line 1 column 14: a number stands in backticks: `1000`"),
    ("new.Amount > '1000'", "line 1 column 14: > takes numbers, and they stand in backticks: `1000`"),
    ("'b' <= new.a", "line 1 column 1: <= takes numbers, and they stand in backticks: `1000`"),
    ("new.a > `true`", "line 1 column 9: > takes numbers"),
    ('new.a == "text"', "line 1 column 10: double quotes are for names; text stands in single quotes: 'text'"),
    ("Amount > `1`", "line 1 column 1: Amount is not one of changed, eventName, expired, keys, new, old, table,"),
    ("Amount > `1`", "an attribute is new.Amount or old.Amount"),
    ("new.a == oldImage.a", "line 1 column 10: oldImage is not one of"),
    ("oldImage.a", "did you mean old?"),
    ("eventname == 'INSERT'", "did you mean eventName?"),
    ("new.a == true", "line 1 column 10: true stands in backticks: `true`"),
    ("new.a and new.b", "line 1 column 7: and is spelt &&"),
    ("new.a\n  or new.b", "line 2 column 3: or is spelt ||"),
    ("not new.a", "line 1 column 1: not is spelt !"),
    ("new.a = 'x'", "line 1 column 7: = is not expected here; equality is =="),
    ("new.a-b", 'line 1 column 6: - is not expected here; a name with other characters stands in double quotes'),
    ("new.a &&\n\n  #", "line 3 column 3: # is not expected here"),
    ("starts_with(new.a)", "line 1 column 1: starts_with() takes 2 arguments, and is given 1"),
    ("abs(new.a, new.b)", "line 1 column 1: abs() takes 1 argument, and is given 2"),
    ("not_null()", "line 1 column 1: not_null() takes at least 1 argument, and is given 0"),
    ("length(abs(new.a, (`1`)))", "line 1 column 8: abs() takes 1 argument, and is given 2"),
    ("startswith(new.a, 'b')", "line 1 column 1: there is no function startswith() among abs, contains,"),
    ("startswith(new.a, 'b')", "did you mean starts_with?"),
    ("sum(new.a)", "line 1 column 1: there is no function sum() among"),
    ("contains(new.a, 'b' 'c')", "line 1 column 21: an operator or a comma is missing before this"),
    ("new.a new.b", "line 1 column 7: an operator or a comma is missing before this"),
    ("abs(new.a,)", "line 1 column 10: an argument is missing after the comma"),
    ("new.abs(`1`)", "line 1 column 5: a function is called by its name alone: abs(…)"),
    ('"abs"(`1`)', "line 1 column 1: a function's name has no quotes"),
    ("starts_with(new.a, `1`)", "line 1 column 1: starts_with() takes string, and is given a literal number"),
    ("expired && !new.a", "line 1 column 12: ! takes no path with dots; put parentheses around it: !(new.a)"),
    ("!(old || new).a", "line 1 column 1: ! takes no path with dots"),
    ("!new[0].a", "line 1 column 1: ! takes no path with dots"),
    ("`1` < new.a < `3`", "line 1 column 13: comparisons are not chained; join two of them with &&"),
    ("`text` == new.a", "line 1 column 1: in backticks stands JSON, such as `1000` or `true`; text stands in single"),
    ("new.a == `NaN`", "line 1 column 10: in backticks stands JSON"),
    ("new.a == `{`", "line 1 column 10: in backticks stands JSON"),
    ("new.a == `\"\\q\"`", "line 1 column 10: in backticks stands JSON"),
    ('new."\\q"', "line 1 column 5: this name cannot be read; it is quoted as a JSON string is"),
    ("new.a == 'text", "line 1 column 10: the ' is not closed"),
    ("(new.a", "line 1 column 7: the expression ends too early"),
    ("new.a == ", "line 1 column 10: the expression ends too early"),
    ("new.a)", "line 1 column 6: ) is not expected here"),
    ("new..a", "line 1 column 5: . is not expected here"),
    ("", "line 1 column 1: the expression is empty; leave when out to mean every change"),
    (" \n", "line 1 column 1: the expression is empty"),
    ("new.*", "line 1 column 5: wildcards are not part of the language here; name one member"),
    ("new.l[*].a", "line 1 column 7: wildcards"),
    ("new.l[]", "line 1 column 6: projections"),
    ("new.l[?a]", "line 1 column 6: filters are not part of the language here; contains() finds a member of a list"),
    ("new.l[0:1]", "line 1 column 8: : is not part of the language here"),
    ("new.[a]", "line 1 column 5: multi-selects"),
    ("[new.a]", "line 1 column 1: multi-selects are not part of the language here; a list stands in backticks"),
    ("{a: new}", "line 1 column 1: multi-selects"),
    ('new["a"]', "line 1 column 4: in brackets stands a whole number; a quoted name follows a dot"),
    ("new.a | new.b", "line 1 column 7: pipes are not part of the language here; write || for or"),
    ("new.a & new.b", "line 1 column 7: one & is not part of the language here; write && for and"),
    ("@.new", "line 1 column 1: @ is not part of the language here; begin with one of changed,"),
    ("(" * 3000 + "new" + ")" * 3000, f"column {MAXIMUM_LENGTH + 1}: an expression has at most"),
    ("(" * 2000 + "new" + ")" * 2000, "line 1 column 1: the expression is nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "words"), SUBSET, ids=[expression[:24] for expression, _words in SUBSET])
def test_what_is_outside_of_the_subset_is_told_with_its_place(expression, words):
    assert any(words in problem for problem in problems(expression)), problems(expression)


def test_every_problem_of_an_expression_is_told_in_order():
    found = problems("Amount > 5 && new.a == bar\n  || abs()")
    assert [problem.split(":")[0] for problem in found] == [
        "line 1 column 1", "line 1 column 10", "line 1 column 24", "line 2 column 6",
    ]  # fmt: skip


_PIECES = st.sampled_from(
    ["new", "old", ".", "a", "[", "]", "0", "-1", "(", ")", ",", "'x'", "`1`", "`", "'", '"', '"a"', "&&", "||", "!",
     "=", "==", "<", ">=", "|", "&", "*", "@", "?", ":", "{", "}", " ", "\n", "abs", "type", "contains", "\\", "é", "-"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=10).map("".join) | st.text(max_size=12))
def test_any_text_is_refused_in_words_or_can_be_evaluated(text):
    if all(problem.startswith("line ") for problem in problems(text)) and problems(text):
        return
    try:
        answer(text, old=ORDER, new=ORDER)
    except EvaluationError as exc:
        assert "() was given " in str(exc)


# What fails


@pytest.mark.parametrize(
    ("expression", "trouble"),
    [
        ("starts_with(new.Amount, 'a')", "starts_with() was given number where it takes string"),
        ("ends_with(new.status, new.Tags)", "ends_with() was given array where it takes string"),
        ("length(new.Amount)", "length() was given number where it takes string or array or object"),
        ("abs(new.status)", "abs() was given string where it takes number"),
        ("contains(new.Lines[0], 'a')", "contains() was given object where it takes string or array"),
        ("abs(expired)", "abs() was given boolean where it takes number"),
    ],
)
def test_a_type_that_a_function_does_not_take_fails_without_the_value(expression, trouble):
    with pytest.raises(EvaluationError) as failed:
        answer(expression, new=ORDER)
    assert str(failed.value) == trouble


def test_what_is_not_needed_is_not_evaluated():
    assert answer("new.status && type(new.Amount) == 'string' && abs(new.status)", new=ORDER) is False
    assert answer("new.status || abs(new.status)", new=ORDER) == "CANCELLED"


@pytest.mark.parametrize(
    "value",
    [{"N": "twelve"}, {"N": "NaN"}, {"S": 5}, {"X": "?"}, {}, "text", {"S": "a", "N": "1"}, {"L": [1]}, {"BOOL": 1}],
)
def test_what_is_not_dynamodb_json_is_named_so(value):
    with pytest.raises(Unreadable, match="^an attribute is not DynamoDB JSON$"):
        answer("new.A == `1`", new={"A": value})
    assert answer("new.B", new={"A": value, "B": {"S": "fine"}}) == "fine"
