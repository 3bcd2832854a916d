"""Adding up the metrics of several processes, in the Prometheus text format 0.0.4.

Counters and histograms are added; of a gauge the largest is taken, since every process describes the same thing by it,
but for those in ``_ADDED_GAUGES``, which count what each process has of its own.
"""

from collections.abc import Iterable

_ADDED_GAUGES = frozenset({"strongroom_kek_cache_entries", "strongroom_domain_cache_entries"})
_SUFFIXES = ("_bucket", "_sum", "_count")
_COMMENTS = frozenset({"HELP", "TYPE"})
_COMMENT_FIELDS = 3


class MetricsOfAll:
    """The metrics of all API processes, as one of them tells them: its own now, the others' of a second ago."""

    def __init__(self) -> None:
        self._others = ""

    def take(self, others: str) -> None:
        """Take what the other processes had reported, added up."""
        self._others = others

    def total(self, own: str) -> str:
        """Add our own to it."""
        return add_expositions([own, self._others]) if self._others else own


def add_expositions(texts: Iterable[str]) -> str:
    """Add the expositions of several processes into one; lines that are none are left out."""
    families: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    values: dict[str, dict[str, float]] = {}
    for text in texts:
        for line in text.splitlines():
            if line.startswith("# "):
                _note(line, families, types)
            elif line:
                _add(line, types, values)
    lines = []
    for family, comments in families.items():
        lines += comments
        lines += [f"{sample} {_written(value)}" for sample, value in values.get(family, {}).items()]
    return "".join(f"{line}\n" for line in lines)


def _note(line: str, families: dict[str, list[str]], types: dict[str, str]) -> None:
    fields = line.split(" ", 3)
    if len(fields) < _COMMENT_FIELDS or fields[1] not in _COMMENTS:
        return
    _, kind, family, *rest = fields
    comments = families.setdefault(family, [])
    if not any(known.startswith(f"# {kind} ") for known in comments):
        comments.append(line)
    if kind == "TYPE" and rest:
        types[family] = rest[0]


def _add(line: str, types: dict[str, str], values: dict[str, dict[str, float]]) -> None:
    sample, _, number = line.rpartition(" ")
    name = sample.partition("{")[0]
    family = name
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and types.get(name.removesuffix(suffix)) == "histogram":
            family = name.removesuffix(suffix)
    try:
        value = float(number)
    except ValueError:
        return
    known = values.setdefault(family, {})
    if types.get(family) == "gauge" and family not in _ADDED_GAUGES:
        known[sample] = max(known.get(sample, value), value)
    else:
        known[sample] = known.get(sample, 0.0) + value


def _written(value: float) -> str:
    return str(int(value)) if value.is_integer() else f"{value:.6f}"
