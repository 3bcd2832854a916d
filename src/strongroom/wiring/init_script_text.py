"""Writing a script of ``strongroom init``: what the guided form makes of the answers."""

from typing import Any

import msgspec

from strongroom.config import toml_value
from strongroom.wiring.init_script_form import InitScript


def render_init_script(script: InitScript) -> str:
    """Return the script as TOML; ``parse_init_script`` reads it back as the same object."""
    tables: dict[str, Any] = msgspec.to_builtins(script)
    lines = [
        "# Made by strongroom init. No PIN and no passphrase stands here.",
        "",
        f"version = {tables.pop('version')}",
    ]
    rules = tables.pop("rules")
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *_lines(table)]
    for name, table in tables.items():
        if not isinstance(table, dict):
            for entry in table:
                lines += ["", f"[[{name}]]", *_lines(entry)]
    lines += [
        "",
        "# Who must approve what. A verb without a rule cannot be done at all.",
        "[rules]",
        *_lines(rules),
    ]
    return "\n".join(lines) + "\n"


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]
