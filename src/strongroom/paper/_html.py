"""Documents become HTML: one file that loads nothing, runs nothing and sends nothing, by its own policy too.

Each text goes through ``shown`` and Jinja's escaping on its way out (``finalize``), wherever the template puts it.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from strongroom.paper._blocks import (
    Block,
    Bullets,
    Document,
    FactTable,
    Heading,
    PageBreak,
    Paragraph,
    QrCode,
    Table,
    WordGrid,
)
from strongroom.paper._letters import shown
from strongroom.paper._pdf import REHEARSAL_LINE

_NAMES: Final[dict[type, str]] = {
    Heading: "heading",
    Paragraph: "paragraph",
    Bullets: "bullets",
    FactTable: "facts",
    Table: "table",
    WordGrid: "words",
    QrCode: "qr",
    PageBreak: "break",
}


def document_html(document: Document) -> bytes:
    """Return a document as HTML in UTF-8."""
    pages = resources.files(__package__) / "pages"
    style = (pages / "style.css").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_finalized)
    environment.filters["split_lines"] = _split_lines
    template = environment.from_string((pages / "document.html").read_text(encoding="utf-8"))
    text = template.render(
        policy=_policy(style),
        style=Markup(style),  # noqa: S704 - a file of this package
        head=f"{document.kind} · {document.running}",
        title=document.title,
        subtitle=document.subtitle,
        footer=document.footer,
        is_rehearsal=document.is_rehearsal,
        rehearsal_line=REHEARSAL_LINE,
        blocks=_named(document.blocks),
    )
    return text.encode()


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _named(blocks: Sequence[Block]) -> list[dict[str, object]]:
    return [{"name": _NAMES[type(block)], "it": block} for block in blocks]


def _finalized(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _split_lines(text: str) -> list[str]:
    return text.split("\n")
