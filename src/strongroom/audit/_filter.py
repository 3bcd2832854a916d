"""Which entries somebody wants to see: by who, what, which key, when and how it ended.

Patterns have ``*`` for any text and ``?`` for one character, and are compared with the whole text, upper and lower case
being different. Several patterns of one kind: one of them must fit. Several kinds: each must.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.audit._entry import Entry, Kind

Keeps = Callable[[Entry], bool]

OK: Final = "ok"
FAILED: Final = "failed"
"""As a pattern of outcomes: everything but ``ok`` and none."""
_KEY_NAMES: Final = ("alias", "source_key", "source_alias", "ciphertext_key", "named_key", "former_key")
"""Names in ``detail`` of keys that an entry speaks of besides ``key_id``."""
_ARN: Final = re.compile(r"arn:[^:]*:kms:[^:]*:[^:]*:(?:key/(.+)|(alias/.+))", re.DOTALL)


class Criteria(NamedTuple):
    """What is asked for; empty tuples and None ask for nothing."""

    principals: Sequence[str] = ()
    keys: Sequence[str] = ()
    """Key ids, ARNs of keys or aliases, or aliases (``alias/...``), as they stand in the entries."""
    events: Sequence[str] = ()
    """Such as ``kms.*``. Without a dot it is the part behind the dot: ``Decrypt`` is any ``....Decrypt``."""
    kinds: Sequence[Kind] = ()
    outcomes: Sequence[str] = ()
    writers: Sequence[str] = ()
    requests: Sequence[str] = ()
    members: Sequence[str] = ()
    sources: Sequence[str] = ()
    access_keys: Sequence[str] = ()
    approvals: Sequence[str] = ()
    details: Mapping[str, str] = {}
    """Names in ``detail`` and a pattern for the value of each; all of them must fit."""
    since: int | None = None
    """Microseconds since the Unix epoch; the first that counts."""
    until: int | None = None
    """The first that does not count any more."""


class EntryFilter:
    """Decides entry by entry."""

    def __init__(self, criteria: Criteria = Criteria()) -> None:  # noqa: B008  # a constant
        self._since, self._until = criteria.since, criteria.until
        self._writers = _pattern(criteria.writers) if criteria.writers else None
        self._checks = tuple(_checks(criteria))

    @property
    def has_time(self) -> bool:
        """Whether entries of a certain time only are wanted."""
        return self._since is not None or self._until is not None

    def excludes(self, first: int, last: int) -> bool:
        """Whether nothing is wanted of a time from ``first`` to ``last``, both included."""
        return (self._since is not None and last < self._since) or (
            self._until is not None and first >= self._until
        )

    def keeps_writer(self, writer: str) -> bool:
        """Whether anything of a writer may be wanted."""
        return self._writers is None or self._writers(writer)

    def keeps(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        at = entry.at
        if self.excludes(at, at) or not self.keeps_writer(entry.writer):
            return False
        for check in self._checks:  # noqa: SIM110  # a generator takes twice as long
            if not check(entry):
                return False
        return True


def _checks(criteria: Criteria) -> list[Keeps]:
    checks: list[Keeps] = []
    if criteria.kinds:
        kinds = frozenset(criteria.kinds)
        checks.append(lambda entry: entry.kind in kinds)
    texts: tuple[tuple[Sequence[str], Callable[[Entry], str]], ...] = (
        (criteria.principals, lambda entry: entry.principal),
        (criteria.requests, lambda entry: entry.request_id),
        (criteria.members, lambda entry: entry.member),
        (criteria.sources, lambda entry: entry.source_address),
        (criteria.access_keys, lambda entry: entry.access_key_id),
        ([event if "." in event else f"*.{event}" for event in criteria.events], lambda entry: entry.event),
    )
    checks += [_text_check(patterns, text) for patterns, text in texts if patterns]
    if criteria.outcomes:
        checks.append(_outcome_check(criteria.outcomes))
    if criteria.keys:
        checks.append(_key_check(criteria.keys))
    if criteria.approvals:
        checks.append(_detail_check("approval", criteria.approvals))
    checks += [_detail_check(name, [value]) for name, value in criteria.details.items()]
    return checks


def _text_check(patterns: Sequence[str], text: Callable[[Entry], str]) -> Keeps:
    fits = _pattern(patterns)
    return lambda entry: fits(text(entry))


def _outcome_check(outcomes: Sequence[str]) -> Keeps:
    wants_failed = FAILED in outcomes
    fits = _pattern([outcome for outcome in outcomes if outcome != FAILED])
    return lambda entry: (
        bool(entry.outcome) and (fits(entry.outcome) or (wants_failed and entry.outcome != OK))
    )


def _key_check(keys: Sequence[str]) -> Keeps:
    names = []
    for key in keys:
        arn = _ARN.fullmatch(key)
        names.append(key if arn is None else arn[1] or arn[2])
    fits = _pattern(names)

    def check(entry: Entry) -> bool:
        if entry.key_id and fits(entry.key_id):
            return True
        detail = entry.detail
        return any(name in detail and fits(detail[name]) for name in _KEY_NAMES) if detail else False

    return check


def _detail_check(name: str, patterns: Sequence[str]) -> Keeps:
    fits = _pattern(patterns)
    return lambda entry: name in entry.detail and fits(entry.detail[name])


def _pattern(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a text fits one of the patterns."""
    if not any("*" in pattern or "?" in pattern for pattern in patterns):
        return frozenset(patterns).__contains__
    whole = re.compile("|".join(map(_expression, patterns)), re.DOTALL)
    return lambda text: whole.fullmatch(text) is not None


def _expression(pattern: str) -> str:
    # Runs of stars are one: a regular expression would take very long to find that "a*********b" does not fit.
    parts = re.split(r"(\*+|\?)", pattern)
    return "".join({"*": ".*", "?": "."}.get(part[:1], re.escape(part)) for part in parts)
