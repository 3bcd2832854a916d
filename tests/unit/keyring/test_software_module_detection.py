"""Whether a FIPS provider does the cryptography is tried, not believed; no configuration without one passes for it."""

import os
import subprocess
import sys

from strongroom.keyring import find_software_module

CONFIGURATION = """\
openssl_conf = openssl_init
[openssl_init]
providers = provider_sect
alg_section = algorithm_sect
[provider_sect]
default = default_sect
[default_sect]
activate = 1
[algorithm_sect]
default_properties = fips=yes
"""
PROGRAM = (
    "from strongroom.keyring import find_software_module as f; m = f(); print(m.is_fips, m.because, sep='|')"
)


def test_the_library_as_it_comes_is_no_validated_module():
    found = find_software_module()
    assert "OpenSSL" in found.name
    assert (found.is_fips, found.because) == (False, "no FIPS provider is asked for")


def test_a_configuration_that_asks_for_a_provider_is_not_one(tmp_path):
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(CONFIGURATION)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    )
    is_fips, said = done.stdout.strip().split("|")
    assert is_fips == "False"
    assert "a FIPS provider is asked for, and none is loaded" in said
