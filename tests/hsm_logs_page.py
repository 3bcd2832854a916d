"""The table of profiles in docs/hsm-logs.md is made of their data: ``python tests/hsm_logs_page.py`` prints it."""

from strongroom.hsm.token import AuditLogging, known_audit_logging, load_audit_logging, load_profile

BEGIN = "<!-- profiles: made by tests/hsm_logs_page.py -->\n"
END = "<!-- end of profiles -->\n"


def profile_sections() -> str:
    """Write a section for each profile; those of the same data share one."""
    shared: dict[AuditLogging, list[str]] = {}
    for name in known_audit_logging():
        shared.setdefault(load_audit_logging(name), []).append(name)
    return "\n".join(_section(names, logging) for logging, names in shared.items())


def _section(names: list[str], logging: AuditLogging) -> str:
    title = load_profile(names[0]).title
    rows = {
        "Can log": {"all": "all operations", "management": "management only, no uses of keys"}.get(
            logging.records, logging.records
        ),
        "Does it": f"**{logging.state}**: {logging.known_by}",
        "Asked over PKCS#11": "yes" if logging.checkable else "cannot be",
        "Look": logging.how_to_check,
        "Switch on": logging.switch_on,
        "How records leave it": logging.forward,
        "Import": f"`--format {logging.format}`" if logging.format else "no importer",
        "From": "; ".join(logging.sources) or "no document",
        "Not verified": logging.not_verified or "-",
    }
    heading = ", ".join(f"`{name}`" for name in names)
    lines = [f"### {heading}: {title}", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items()), ""])


if __name__ == "__main__":
    print(profile_sections())
