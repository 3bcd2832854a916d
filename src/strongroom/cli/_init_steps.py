"""``strongroom init --script``: what it will do in words, and doing it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from strongroom.cli._officer_files import read_bounded
from strongroom.cli._output import Output, visible
from strongroom.client import home_endpoint
from strongroom.config import Home, home_from_environment, load_config
from strongroom.core import SystemClock
from strongroom.custody import MAX_DOCUMENT_BYTES, Chain, document_hash
from strongroom.wiring.init_script import receivers_of, require_same_custody
from strongroom.wiring.init_script_form import InitScript
from strongroom.wiring.initialise_scripted import InitialisedHome, initialise_scripted


def run_script(output: Output, script: InitScript, genesis_file: Path) -> None:
    """Make the home, or go on with it, and say what to do next. Raises StrongroomError."""
    home = Home(home_from_environment())
    genesis = read_bounded(genesis_file, MAX_DOCUMENT_BYTES)
    output.say(f"Making the home of the cluster {visible(script.cluster.name)!r} in {home.root}")
    work = initialise_scripted(home.root, script, genesis, clock=SystemClock(), progress=output.progress)
    made = asyncio.run(work)
    url = home_endpoint(home, load_config(home.root)).url
    output.document(
        {
            "home": str(home.root),
            "made": made.was_made,
            "endpoint": url,
            "genesis_sha256": made.genesis_sha256,
            "deliveries": made.deliveries,
            "access_keys": made.access_keys,
        }
    )
    output.say(*(_done(home, script, made, url) if made.was_made else _was_done(home, made)))


def show_steps(output: Output, script: InitScript, genesis_file: Path | None) -> None:
    """Say what init would do, in the order in which it would. Touches no token and writes nothing. Raises StrongroomError."""
    digest = ""
    if genesis_file is not None:
        genesis = read_bounded(genesis_file, MAX_DOCUMENT_BYTES)
        require_same_custody(script, Chain.from_documents(genesis).genesis.body)
        digest = document_hash(genesis)
    steps = list(_steps(script, digest))
    output.document({"genesis_sha256": digest, "steps": steps})
    output.say(*(f"{number}. {visible(step)}" for number, step in enumerate(steps, 1)))
    output.say("", "Nothing was done.")


def _steps(script: InitScript, digest: str) -> Iterator[str]:
    yield (
        f"check that every security officer signed the genesis, whose SHA-256 is {digest}"
        if digest
        else "check the genesis (none is given here): its officers and rules must be those of the script"
    )
    for member in script.members:
        officers = ", ".join(officer.id for officer in receivers_of(script, member))
        yield f"member {member.name} ({member.profile}): make both PINs, and seal them in the home"
        yield f"member {member.name}: initialise the first blank token, under the label {member.label!r}"
        yield f"member {member.name}: encrypt the PIN of its security officer to {officers}"
        yield f"member {member.name}: set the user PIN, and log in with it"
    yield "choose by what the members wrap: the best that all of them can"
    first, *others = (member.name for member in script.members)
    copies = f", copy it to {', '.join(others)}, and have each copy proved" if others else ""
    yield f"make transport keys, generate the root KEK on member {first}{copies}"
    yield "make the database" + "".join(
        f"; an access key for {key.principal} ({' '.join(key.roles) or 'no roles'})"
        for key in script.access_keys
    )
    yield "pin the genesis in the token of each member: from then on they let nothing be done without its officers"
    yield (
        f"make a TLS certificate for {', '.join(script.tls.make_for)}"
        if script.tls is not None
        else f"use the TLS certificate {script.service.tls_certificate}"
        if script.service.tls
        else "no TLS: loopback only"
    )
    yield f"write the configuration{' of a FIPS partition' if script.policy.fips else ''}"
    yield "remove the PINs of the security officers from this host"


def _done(home: Home, script: InitScript, made: InitialisedHome, url: str) -> list[str]:
    deliveries = [f"  {home.root / path}" for path in made.deliveries.values()]
    keys = [f"  {principal}: {home.root / path}" for principal, path in made.access_keys.items()]
    return [
        f"Done: {len(script.members)} members hold one root key, and each copy is proved.",
        "",
        f"SHA-256 of the genesis: {made.genesis_sha256}",
        "Keep it where this host's administrators cannot change it: evidence is checked against it.",
        "",
        "The PINs of the security officers, encrypted to them; nobody else can open these. Hand them over:",
        *deliveries,
        *(["", "Access keys:", *keys] if keys else []),
        "",
        "What to do next:",
        f"  strongroom serve            run the service at {url}",
        "  strongroom doctor           check home and machine",
    ]


def _was_done(home: Home, made: InitialisedHome) -> list[str]:
    return [
        f"{home.root} is complete already, by this genesis; nothing was changed.",
        f"SHA-256 of the genesis: {made.genesis_sha256}",
    ]
