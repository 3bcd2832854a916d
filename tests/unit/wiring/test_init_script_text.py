"""Scripts that are written by the program: they read back as what they were made from."""

import msgspec

from init_scripts import script
from strongroom.wiring.init_script import parse_init_script
from strongroom.wiring.init_script_text import render_init_script


def test_a_written_script_reads_back_as_the_same():
    hostile = 'Ann "\\a" O\u2019Hara = [x] # \u202e'
    others = (
        ('name = "Anna Example"', f"name = {msgspec.json.encode(hostile).decode()}"),
        ("# module =", 'environment = { VENDOR_CONF = "/etc/ven dor.conf", "B" = "2" }\nmodule ='),
        ("[service] ", "[cache]\nttl_s = 0.0\n[service]  "),
        ("fips = false", "fips = true"),
        ('sealing_key = { file = "pins/sealing-key" }', 'sealing_key = { credential = "key" }'),
    )
    for changes in ((), others):
        parsed = parse_init_script(script(*changes))
        assert parse_init_script(render_init_script(parsed).encode()) == parsed
    assert parsed.officers[0].name == hostile
