# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The subset of JMESPath, held to on the lexer's tokens, because they know where in the expression they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from .values import FUNCTIONS, is_number

ROOTS = ("changed", "eventName", "expired", "keys", "new", "old", "table", "timestamp")

#: How the names are spelt elsewhere: in envelopes, in stream records and in filter patterns.
_OTHER_SPELLINGS = {"newimage": "new", "oldimage": "old", "changedattributes": "changed"}
_NAMES = ("unquoted_identifier", "quoted_identifier")
_OPERAND_ENDS = (*_NAMES, "literal", "number", "rbracket", "rparen")
_OPENING, _CLOSING = ("lparen", "lbracket"), ("rparen", "rbracket")
_ORDERINGS = ("lt", "lte", "gt", "gte")
_COMPARATORS = ("eq", "ne", *_ORDERINGS)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_OUTSIDE = {
    "colon": ": is not part of the language here",
    "current": "@ is not part of the language here; begin with one of " + ", ".join(ROOTS),
    "expref": "one & is not part of the language here; write && for and",
    "filter": "filters are not part of the language here; contains() finds a member of a list",
    "flatten": "projections are not part of the language here; take one member, such as [0]",
    "lbrace": "multi-selects are not part of the language here",
    "pipe": "pipes are not part of the language here; write || for or",
    "star": "wildcards are not part of the language here; name one member",
}
_LITERAL = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)


class Token(NamedTuple):
    """One token of the lexer; of a literal, the exact value."""

    kind: str
    value: Any
    position: int


class Misuse(Exception):
    """What is wrong with an expression: each time where, and what would be right. The first is at the front."""

    def __init__(self, text: str, *found: tuple[int, str]):
        super().__init__()
        self.sentences = [f"{_place(text, position)}: {sentence}" for position, sentence in sorted(set(found))]


def tokens_of(text: str) -> list[Token]:
    """The expression's tokens, the last one ``eof``. Misuse when it leaves the subset."""
    tokens = _lexed(text)
    places = range(len(tokens) - 1)
    # Whatever else is wrong around foreign syntax would only distract from it.
    found = [each for place in places for each in _outside(tokens, place)]
    found = found or [each for check in _CHECKS for place in places for each in check(tokens, place)]
    found += _chained(tokens)
    if found:
        raise Misuse(text, *found)
    return tokens


def unexpected(text: str, tokens: list[Token], position: int) -> tuple[int, str]:
    """What to say when the parser cannot go on at this position."""
    starts = sorted(token.position for token in tokens)
    following = next((start for start in starts if start > position), len(text))
    shown = text[position:following].strip()
    if not shown:
        return len(text), "the expression ends too early"
    return position, f"{shown} is not expected here"


def _place(text: str, position: int) -> str:
    line, begin = text.count("\n", 0, position) + 1, text.rfind("\n", 0, position) + 1
    return f"line {line} column {position - begin + 1}"


def _lexed(text: str) -> list[Token]:
    # Ships with the Lambda runtime; not imported where no rule has an expression.
    from jmespath.exceptions import LexerError
    from jmespath.lexer import Lexer

    if not text.strip():
        raise Misuse(text, (0, "the expression is empty; leave when out to mean every change"))
    try:
        raw = list(Lexer().tokenize(text))
    except LexerError as exc:
        raise Misuse(text, (exc.lexer_position, _not_a_token(text[exc.lexer_position :]))) from None
    return [_exact(text, token) for token in raw]


def _not_a_token(rest: str) -> str:
    if rest[0] in "`'\"":
        if rest.count(rest[0]) > 1:
            return _BACKTICKS if rest[0] == "`" else "this name cannot be read; it is quoted as a JSON string is"
        return f"the {rest[0]} is not closed"
    hints = {"=": "; equality is ==", "-": '; a name with other characters stands in double quotes: new."a-b"'}
    return f"{rest[0]} is not expected here{hints.get(rest[0], '')}"


_BACKTICKS = "in backticks stands JSON, such as `1000` or `true`; text stands in single quotes: 'text'"


def _exact(text: str, token: dict[str, Any]) -> Token:
    """The token; a literal's number as int or Decimal, where the library would round to a float."""
    kind, value, position = token["type"], token["value"], token["start"]
    if kind == "literal" and text[position] == "`":
        content = _LITERAL.match(text, position)[1].replace("\\`", "`")
        try:
            value = json.loads(content, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, ArithmeticError, RecursionError):
            # The library takes `text` for "text", as JMESPath once did.
            raise Misuse(text, (position, _BACKTICKS)) from None
    return Token(kind, value, position)


def _no_constant(_name: str) -> None:
    raise ValueError


def _kind(tokens: list[Token], place: int) -> str:
    return tokens[place].kind if place >= 0 else ""


def _outside(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    """Syntax of JMESPath that is left out here."""
    token, before = tokens[place], _kind(tokens, place - 1)
    if token.kind in _OUTSIDE:
        yield token.position, _OUTSIDE[token.kind]
    elif token.kind == "lbracket" and before not in (*_NAMES, "rbracket", "rparen"):
        yield token.position, 'multi-selects are not part of the language here; a list stands in backticks: `["a"]`'
    elif token.kind == "lbracket" and tokens[place + 1].kind not in ("number", "star", "colon"):
        yield token.position, 'in brackets stands a whole number; a quoted name follows a dot: new."a name"'


def _names(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    """Roots and functions that are not there, and operators that are missing before an operand."""
    token, before, called = tokens[place], _kind(tokens, place - 1), tokens[place + 1].kind == "lparen"
    if token.kind not in (*_NAMES, "literal") or before == "dot":
        if before == "dot" and token.kind == "unquoted_identifier" and called:
            yield token.position, f"a function is called by its name alone: {token.value}(…)"
        return
    if token.kind == "unquoted_identifier" and token.value in _WORDS and token.value not in ROOTS:
        yield token.position, f"{token.value} is spelt {_WORDS[token.value]}"
    elif before in _OPERAND_ENDS:
        if _kind(tokens, place - 1) != "unquoted_identifier" or tokens[place - 1].value not in _WORDS:
            yield token.position, "an operator or a comma is missing before this"
    elif token.kind == "quoted_identifier":
        if called:
            yield token.position, "a function's name has no quotes"
        elif token.value not in ROOTS:
            yield token.position, f"double quotes are for names; text stands in single quotes: '{token.value}'"
    elif token.kind == "unquoted_identifier":
        yield from _function(tokens, place) if called else _root(token)


def _root(token: Token) -> Iterator[tuple[int, str]]:
    if token.value in ROOTS:
        return
    if token.value in ("true", "false", "null"):
        yield token.position, f"{token.value} stands in backticks: `{token.value}`"
        return
    near = _OTHER_SPELLINGS.get(token.value.lower()) or nearest(token.value, ROOTS)
    hint = f"did you mean {near}?" if near else f"an attribute is new.{token.value} or old.{token.value}"
    yield token.position, f"{token.value} is not one of {', '.join(ROOTS)}; {hint}"


def _function(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    name = tokens[place].value
    function = FUNCTIONS.get(name)
    if function is None:
        near = nearest(name, FUNCTIONS)
        hint = f"; did you mean {near}?" if near else ""
        yield tokens[place].position, f"there is no function {name}() among {', '.join(sorted(FUNCTIONS))}{hint}"
        return
    given, wanted = _argument_count(tokens, place + 1), len(function.takes)
    if given < wanted or (given > wanted and not function.variadic):
        least = "at least " if function.variadic else ""
        plural = "" if wanted == 1 else "s"
        yield tokens[place].position, f"{name}() takes {least}{wanted} argument{plural}, and is given {given}"


def _argument_count(tokens: list[Token], opening: int) -> int:
    if tokens[opening + 1].kind == "rparen":
        return 0
    inner = [tokens[place].kind for place, depth in _group(tokens, opening) if depth == 1]
    return 1 + inner.count("comma")


def _group(tokens: list[Token], opening: int) -> Iterator[tuple[int, int]]:
    """The places from a parenthesis or bracket to the one that closes it, each with its depth."""
    depth = 0
    for place in range(opening, len(tokens)):
        kind = tokens[place].kind
        depth += (kind in _OPENING) - (kind in _CLOSING)
        yield place, depth
        if depth == 0:
            return


def _negations(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    """JMESPath's parsers bind ! closer than a dot: !new.a is (!new).a to them, which is always null."""
    if tokens[place].kind != "not":
        return
    after = place + 1 + (tokens[place + 1].kind in _NAMES)
    while after < len(tokens) and tokens[after].kind in _OPENING:
        after = 1 + max(each for each, _depth in _group(tokens, after))
    if after < len(tokens) and tokens[after].kind == "dot":
        yield tokens[place].position, "! takes no path with dots; put parentheses around it: !(new.a)"


def _numbers(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    if tokens[place].kind == "number" and _kind(tokens, place - 1) != "lbracket":
        yield tokens[place].position, f"a number stands in backticks: `{tokens[place].value}`"


def _commas(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    """The library lets a comma end the arguments."""
    if tokens[place].kind == "comma" and tokens[place + 1].kind == "rparen":
        yield tokens[place].position, "an argument is missing after the comma"


def _orderings(tokens: list[Token], place: int) -> Iterator[tuple[int, str]]:
    """An ordering with anything but numbers is null, so a rule with it would never apply."""
    if tokens[place].kind not in _ORDERINGS:
        return
    for beside in (place - 1, place + 1):
        literal = tokens[beside] if beside >= 0 else None
        if literal and literal.kind == "literal" and not is_number(literal.value):
            text = str(literal.value)
            example = text if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else "1000"
            yield literal.position, f"{tokens[place].value} takes numbers, and they stand in backticks: `{example}`"


def _chained(tokens: list[Token]) -> Iterator[tuple[int, str]]:
    """Comparisons of comparisons: they would compare true or false with the third operand."""
    compared = [False]
    for token in tokens:
        if token.kind == "lparen":
            compared.append(False)
        elif token.kind == "rparen" and len(compared) > 1:
            compared.pop()
        elif token.kind in ("and", "or", "comma"):
            compared[-1] = False
        elif token.kind in _COMPARATORS:
            if compared[-1]:
                yield token.position, "comparisons are not chained; join two of them with &&"
            compared[-1] = True


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or nothing."""
    import difflib  # a function with sound rules starts without it

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


_Check = Callable[[list[Token], int], Iterator[tuple[int, str]]]
_CHECKS: tuple[_Check, ...] = (_names, _numbers, _commas, _negations, _orderings)
