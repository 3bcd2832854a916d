"""Reading a ceremony's script: bytes to ``Script``, everything checked before anybody acts.

``read_script`` checks form and rules; ``require_runnable`` also what a rehearsal goes without: keys of the witnesses, the
hashes of the files that the script names, and recipients of custodians.
"""

import hashlib
import re
from typing import Any, Final

import msgspec

from strongroom.ceremony._errors import ScriptError
from strongroom.ceremony._form import Delivery, Script, ScriptFile, ScriptStep, Step
from strongroom.ceremony._parameters import PARAMETERS, Action, Bags
from strongroom.ceremony._script_rules import check_rules
from strongroom.ceremony._strict_yaml import read_strict_yaml

_PLACE: Final = re.compile(r" - at `\$(.*)`\Z")


def read_script(data: bytes) -> Script:
    """Return the script that the bytes are. Raises ScriptError, which says where and what."""
    raw = read_strict_yaml(data)
    file: ScriptFile = _converted(raw, ScriptFile, "")
    script = Script(
        id=file.id,
        type=file.type,
        title=file.title,
        participants=file.participants,
        steps=tuple(_step(step) for step in file.steps),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    check_rules(script)
    return script


def require_runnable(script: Script) -> None:
    """Refuse a script that only a rehearsal can be held by. Raises ScriptError, which lists everything that is missing."""
    missing = [f"the key of {one.id}, who signs as a witness" for one in script.witnesses if not one.key]
    missing += [
        f"where the share of {one.id} goes (recipient)"
        for one in script.participants
        if one.delivery in {Delivery.AGE, Delivery.CARD} and not one.recipient
    ]
    missing += [f"{name} of step {step.id}" for step in script.steps for name in _empty_hashes(step)]
    if missing:
        raise ScriptError(
            f"the script can be rehearsed but not run; it lacks: {'; '.join(missing)}",
            next_step="fill it in, and have it reviewed again: its hash changes",
        )


def _empty_hashes(step: Step) -> list[str]:
    """Return the names of the hashes that a script leaves out, of files that are there before the ceremony."""
    if isinstance(step.parameters, Bags) or step.do in {Action.CHECK_SOFTWARE, Action.OPEN_BACKUP}:
        return []
    fields = type(step.parameters).__struct_fields__
    empty = [name for name in fields if name.endswith("_sha256") and not getattr(step.parameters, name)]
    return [name.replace("_", "-") for name in empty]


def _step(step: ScriptStep) -> Step:
    where = f"with of step {step.id}"
    return Step(
        id=step.id,
        do=step.do,
        by=step.by,
        witness=step.witness,
        say=step.say,
        expect=step.expect,
        parameters=_converted(step.parameters, PARAMETERS[step.do], where),
    )


def _converted(value: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PLACE.search(text)
        place = " ".join(part for part in (where, found[1].lstrip(".") if found else "") if part)
        raise ScriptError(f"{place or 'the script'}: {_PLACE.sub('', text)}") from None
