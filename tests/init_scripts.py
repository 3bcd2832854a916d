"""Scripts of ``strongroom init`` for tests: the example, with the keys of officers who exist."""

import re

from fakes_custody import key_of
from strongroom.wiring.init_example import EXAMPLE_SCRIPT


def example():
    """The example with the lines of keys and recipients put in, as an organisation would do it."""
    text = re.sub(
        r"PUT THE LINE OF (\w+)\.pub HERE",
        lambda m: f"{key_of(m[1]).public.line} {m[1]}@example",
        EXAMPLE_SCRIPT,
    )
    return re.sub(
        r"PUT age1… OR THE ssh-ed25519 LINE OF (\w+) HERE", lambda m: key_of(m[1]).public.line, text
    )


def script(*changes):
    """The example, with (old, new) texts replaced; each old one stands in it."""
    text = example()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()
