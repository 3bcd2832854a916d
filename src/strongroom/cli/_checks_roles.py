"""Checks of ``doctor`` that look at who may do what: duties that are kept apart, and officers."""

from collections.abc import Iterator

from strongroom.cli._checks import Finding
from strongroom.config import Config, Home


def check_roles(home: Home, config: Config) -> Iterator[Finding]:
    """Whether the roles of principals are what they are recorded as, and whether anything separates them."""
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.principal_duties import PrincipalDuties

    with ReadOnlyStore.open(home.database) as store:
        duties = PrincipalDuties(config, store)
        counted = duties.counted()
    if not duties.is_sound:
        yield Finding(
            "roles",
            "fail",
            "the chain of custody in the database cannot be verified from the genesis that the configuration names:"
            " nobody manages anything until it can",
            "restore the database, or correct custody.genesis_sha256",
        )
        return
    for identity, one in sorted(counted.items()):
        if one.why:
            yield Finding("roles", "note", f"{identity}: {one.why}", "see: strongroom principals list")
    if home.development_access_key.exists():
        yield Finding(
            "roles",
            "note",
            "a development home: one principal manages keys and uses them, nothing is separated",
        )
    elif config.custody is None:
        yield Finding("roles", "note", "no custody: roles are what the owner of the home gives")
    else:
        yield Finding("roles", "ok", "the roles of officers are those of the chain of custody")
