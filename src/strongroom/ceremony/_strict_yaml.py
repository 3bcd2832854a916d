"""YAML that says one thing to everybody who reads it: a small part of YAML 1.1, the rest refused.

Mappings, lists, texts, whole numbers, ``true`` and ``false``. No anchor, alias, tag, directive, merge key, second document,
null, or key that stands twice; no plain word that some reader takes for something else than text (``no``, ``1:30``,
``2026-11-22``, ``0x10``): such a text is quoted. Only characters that show, and line feeds: no tab, carriage return or
turn of direction, in comments neither, so that what was reviewed is what is read, and a file has one hash everywhere.
"""

import re
from typing import Any, Final

import yaml
from yaml.events import AliasEvent, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from strongroom.ceremony._errors import ScriptError
from strongroom.custody import neutral

MAX_SCRIPT_BYTES: Final = 128 * 1024
MAX_DEPTH: Final = 10
_WHOLE: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,14})\Z")
_NUMBERS_OF_OTHERS: Final = re.compile(r"[-+]?(?:0o[0-7]+|\.?[0-9][0-9._]*(?:[eE][-+]?[0-9]+)?)\Z|[yYnN]\Z")
"""Numbers of YAML 1.2, and the short truths of YAML 1.1, which PyYAML takes for texts."""
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_BLANKS: Final = re.compile(" +")


def read_strict_yaml(data: bytes) -> Any:
    """Return what the bytes say. Raises ScriptError, which names the line, for everything that is not in our part of YAML."""
    text = _checked_text(data)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ScriptError("the file is empty")
        return _value(node)
    except yaml.YAMLError as error:
        raise _as_script_error(error) from None
    finally:
        loader.dispose()


def _checked_text(data: bytes) -> str:
    if len(data) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"the file is longer than {MAX_SCRIPT_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ScriptError("it is not UTF-8", line=data.count(b"\n", 0, error.start) + 1) from None
    for at, line in enumerate(text.split("\n"), 1):
        _refuse_unseen(line, at)
    if text and not text.endswith("\n"):
        raise ScriptError("the last line has no line feed", line=text.count("\n") + 1)
    return text


def _refuse_unseen(text: str, line: int) -> None:
    shown = _BLANKS.sub(" ", text)
    if neutral(shown) != shown:
        raise ScriptError(
            f"there is a character that does not show as itself: {neutral(shown.strip())[:80]}",
            line=line,
            next_step="use blanks and line feeds only (no tabs, no carriage returns)",
        )


class _Loader(yaml.SafeLoader):
    """Refuses, while it composes nodes, whatever another reader could take otherwise."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def fetch_directive(self) -> None:
        raise ScriptError("directives (%YAML, %TAG) are not taken", line=self.line + 1)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise ScriptError("anchors and aliases (& and *) are not taken", line=line)
        if getattr(event, "tag", None) is not None:
            raise ScriptError("tags (!) are not taken", line=line)
        if self._depth == MAX_DEPTH:
            raise ScriptError(f"it is nested more than {MAX_DEPTH} levels deep", line=line)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _value(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return _mapping(node)
    if isinstance(node, SequenceNode):
        return [_value(inner) for inner in node.value]
    if isinstance(node, ScalarNode):
        return _scalar(node)
    raise ScriptError("this is neither a mapping nor a list nor a text")


def _mapping(node: MappingNode) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(key_node) if isinstance(key_node, ScalarNode) else None
        if not isinstance(key, str):
            raise ScriptError("a key is a text", line=line)
        if key in members:
            raise ScriptError(f"the key {key!r} stands twice", line=line)
        members[key] = _value(value_node)
    return members


def _scalar(node: ScalarNode) -> str | int | bool:
    text: str = node.value
    if node.style is not None:  # quoted, or a block
        for line in text.split("\n"):  # escapes in double quotes may have made anything
            _refuse_unseen(line, node.start_mark.line + 1)
        return text
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.match(text):
        return int(text)
    if node.tag == _TEXT_TAG and not _NUMBERS_OF_OTHERS.match(text):
        return text
    raise ScriptError(
        f"{text!r} is no text to every reader of YAML" if text else "a value is missing",
        line=node.start_mark.line + 1,
        next_step="put it in quotes if it is a text" if text else None,
    )


def _as_script_error(error: yaml.YAMLError) -> ScriptError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it is no YAML"
    return ScriptError(str(problem), line=None if mark is None else mark.line + 1)
