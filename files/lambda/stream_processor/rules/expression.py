# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Expressions of rules: read by the jmespath library, held to the documented subset, evaluated with exact numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from .syntax import Misuse, Token, tokens_of, unexpected
from .values import FUNCTIONS, OBJECTS, is_number, is_true, same

MAXIMUM_LENGTH = 4096

Evaluate = Callable[[Any], Any]
_ORDERINGS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


def problems(text: str) -> list[str]:
    """What is wrong with the expression, each with line and column; empty when it can be used."""
    try:
        compile_expression(text)
    except Misuse as exc:
        return exc.sentences
    return []


def compile_expression(text: str) -> Evaluate:
    """The expression as a function of the change that it looks at; Misuse when it cannot be used."""
    if len(text) > MAXIMUM_LENGTH:
        raise Misuse(text, (MAXIMUM_LENGTH, f"an expression has at most {MAXIMUM_LENGTH} characters"))
    tokens = tokens_of(text)
    try:
        return _Compiler(text, tokens).compile(_parsed(text, tokens))
    except RecursionError:
        raise Misuse(text, (0, "the expression is nested too deeply")) from None


def _parsed(text: str, tokens: list[Token]) -> dict[str, Any]:
    from jmespath.exceptions import IncompleteExpressionError, ParseError
    from jmespath.parser import Parser

    try:
        return Parser().parse(text).parsed
    except IncompleteExpressionError:
        raise Misuse(text, unexpected(text, tokens, len(text))) from None
    except ParseError as exc:
        raise Misuse(text, unexpected(text, tokens, exc.lex_position)) from None


class _Compiler:
    """Makes closures of the parser's tree. The tree has no positions and rounded numbers; the tokens have both.

    In the subset, literals and function names come in the same order in the tree as among the tokens.
    """

    def __init__(self, text: str, tokens: list[Token]):
        self._text = text
        self._literals = iter([token for token in tokens if token.kind == "literal"])
        self._functions: Iterator[Token] = iter(
            [token for place, token in enumerate(tokens[:-1]) if tokens[place + 1].kind == "lparen" and _is_name(token)]
        )

    def compile(self, node: dict[str, Any]) -> Evaluate:
        return getattr(self, f"_{node['type']}")(node)

    def _all(self, node: dict[str, Any]) -> list[Evaluate]:
        return [self.compile(child) for child in node["children"]]

    def _literal(self, _node: dict[str, Any]) -> Evaluate:
        value = next(self._literals).value
        return lambda _current: value

    def _field(self, node: dict[str, Any]) -> Evaluate:
        name = node["value"]

        def field(current: Any) -> Any:
            return current.get(name) if isinstance(current, OBJECTS) else None

        return field

    def _index(self, node: dict[str, Any]) -> Evaluate:
        place = node["value"]

        def index(current: Any) -> Any:
            if not isinstance(current, list) or not -len(current) <= place < len(current):
                return None
            return current[place]

        return index

    def _subexpression(self, node: dict[str, Any]) -> Evaluate:
        steps = self._all(node)

        def walk(current: Any) -> Any:
            for step in steps:
                current = step(current)
            return current

        return walk

    _index_expression = _subexpression

    def _comparator(self, node: dict[str, Any]) -> Evaluate:
        left, right = self._all(node)
        if node["value"] == "eq":
            return lambda current: same(left(current), right(current))
        if node["value"] == "ne":
            return lambda current: not same(left(current), right(current))
        holds = _ORDERINGS[node["value"]]

        def ordering(current: Any) -> bool | None:
            one, other = left(current), right(current)
            return holds(one, other) if is_number(one) and is_number(other) else None

        return ordering

    def _or_expression(self, node: dict[str, Any]) -> Evaluate:
        left, right = self._all(node)

        def either(current: Any) -> Any:
            value = left(current)
            return value if is_true(value) else right(current)

        return either

    def _and_expression(self, node: dict[str, Any]) -> Evaluate:
        left, right = self._all(node)

        def both(current: Any) -> Any:
            value = left(current)
            return right(current) if is_true(value) else value

        return both

    def _not_expression(self, node: dict[str, Any]) -> Evaluate:
        (operand,) = self._all(node)
        return lambda current: not is_true(operand(current))

    def _function_expression(self, node: dict[str, Any]) -> Evaluate:
        name, position = node["value"], next(self._functions).position
        function, arguments = FUNCTIONS[name], self._all(node)
        self._check_literals(name, position, node["children"], arguments)
        return lambda current: function.call(name, [argument(current) for argument in arguments])

    def _check_literals(self, name: str, position: int, nodes: list[dict[str, Any]], arguments: list[Evaluate]) -> None:
        """Refuse now what would fail with every change."""
        known = [
            argument(None) if nodes[place]["type"] == "literal" else None for place, argument in enumerate(arguments)
        ]
        misfit = FUNCTIONS[name].misfit(known)
        if misfit:
            raise Misuse(self._text, (position, f"{name}() takes {misfit[1]}, and is given a literal {misfit[0]}"))


def _is_name(token: Token) -> bool:
    return token.kind == "unquoted_identifier"
