"""What the example scripts have in common: who takes part, how a ceremony opens, and how it closes."""

from typing import Final

HEAD: Final = """\
# {title}
#
# The script of a key ceremony, in strict YAML: what is not known here is refused, and so are anchors, tags, and keys that
# stand twice. No PIN, passphrase or share has a place in it, so it can be reviewed, kept and shown.
#
# 1. Fill it in: who takes part, what is read aloud, the hashes of the files that it names.
# 2. Have it reviewed. Its SHA-256 is its name (sha256sum THIS-FILE): everybody compares that on the day.
# 3. strongroom ceremony rehearse THIS-FILE --folder FOLDER     with made-up names, on throw-away tokens
# 4. strongroom ceremony run THIS-FILE --folder FOLDER --previous FOLDER-OF-THE-CEREMONY-BEFORE
#
# At any question: /deviation WORDS records that something was done otherwise; /pause stops, and the same command goes on;
# /abandon gives the ceremony up. docs/ceremonies.md tells what each step does.

version: 1
id: {id}
type: {type}
title: {title}

# Everybody in the room, each in one role. Roles: ceremony-administrator (leads, reads aloud, types), security-officer,
# crypto-officer, custodian, internal-witness, external-witness (of another organisation than the administrator).
# Witnesses need a key, as in a .pub file without its comment: they sign the transcript with it.
participants:
  - id: ada
    name: Ada Example
    role: ceremony-administrator
    organisation: Example Ltd
    location: Head office
  - id: walter
    name: Walter Example
    role: internal-witness
    organisation: Example Ltd
    key: ""
  - id: eva
    name: Eva Example
    role: external-witness
    organisation: Example Auditors
    key: ""
"""

SECURITY_OFFICERS: Final = """\
  - id: sam
    name: Sam Example
    role: security-officer
    organisation: Example Ltd
  - id: sue
    name: Sue Example
    role: security-officer
    organisation: Example Ltd
"""

CRYPTO_OFFICERS: Final = """\
  - id: carl
    name: Carl Example
    role: crypto-officer
    organisation: Example Ltd
  - id: cora
    name: Cora Example
    role: crypto-officer
    organisation: Example Ltd
"""

_CUSTODIAN: Final = """\
  - id: {id}
    name: {name}
    role: custodian
    organisation: Example Ltd
    location: {location}
    delivery: paper
"""
_CUSTODIANS: Final = (
    ("kai", "Kai Example", "Head office, safe 1"),
    ("kim", "Kim Example", "Second site, safe 1"),
    ("kurt", "Kurt Example", "Bank, deposit box"),
    ("kate", "Kate Example", "Second site, safe 2"),
    ("knut", "Knut Example", "Notary"),
)

CUSTODIANS: Final = """\
  # Custodians. location: what they hold is kept there; what one fire or one burglar reaches is one location.
  # delivery: paper (words that are copied or printed), age (encrypted to recipient: age1... or ssh-ed25519 ...), or
  # card (a data object; recipient is its URI: pkcs11:token=...;object=..., without a PIN).
""" + "".join(_CUSTODIAN.format(id=one, name=name, location=place) for one, name, place in _CUSTODIANS)

OPENING: Final = """
# do: what is done. by: who acts. witness: who confirms, beside them, what they saw. say: read aloud before it is done.
# expect: what everybody should see. with: what else the step needs.
steps:
  - id: attend
    do: attend
    by: ada
    say: >-
      This is {what}.
      Everybody who is in the room says their name and role, and gives initials. The initials stand for you until the end.
    expect: Each participant is the person whom the script names; somebody has looked at an identity document.

  - id: rules
    do: read-aloud
    by: ada
    witness: [walter, eva]
    say: >-
      We follow the script, step by step. Whoever sees that something is not as the script says, says so at once; it is
      recorded in the words of those who saw it. Anybody may ask for a pause. Nobody leaves alone, and nobody takes
      anything out of the room before the end. What is typed unseen, and what is shown to a custodian alone, is
      for nobody else's eyes and no camera's.
    expect: Everybody has the script, with the hash that the screen shows.

  - id: software
    do: check-software
    by: ada
    witness: [walter, eva]
    say: I read the version of the software and the first words of its hash. Compare them with what was reviewed.
    with:
      version: ""      # empty: nothing is compared, what runs is recorded
      sha256: ""
"""

MEMBERS: Final = """
  - id: {id}
    do: check-members
    by: ada
    witness: [walter, eva]
    say: I read name, serial number and firmware of each HSM. Compare them with the labels on the devices.
    expect: Serial numbers are those on the devices; FIPS mode is as the policy says; check values are the same on all members.
    # with:            # what is known beforehand is compared, and said when it is otherwise
    #   members:
    #     - name: alpha
    #       serial: "1234567"
    #       firmware: "7.8.4"
    #       fips: true
"""

COLLECT: Final = """
  - id: {id}
    do: collect-shares
    by: ada
    witness: [eva]
    say: >-
      Custodians, one after the other, come to the keyboard alone and enter their share. What the shares open is kept in
      the memory of this machine only, for the next step.
    expect: Three shares are accepted; nobody but their custodian saw a word.
    with:
      custodians: [{custodians}]
      bundle: {bundle}

  - id: {open_id}
    do: open-backup
    by: ada
    witness: [walter, eva]
    say: The backup is now opened in a scratch token on this machine. Nothing of production is touched.
    expect: Every key in it opens, and its check value is that of the manifest.
    with:
      bundle: {bundle}
"""

BAGS: Final = """
  - id: {id}
    do: bag-in
    by: ada
    witness: [walter, eva]
    say: >-
      Each custodian puts their share into a tamper-evident bag, signs across the seal, and reads the number of the bag
      aloud.
    expect: Every bag is sealed; its number is the one on the screen.
    with:
      bags:
"""

CLOSING: Final = """
  - id: sign
    do: witness-signatures
    by: ada
    witness: [walter, eva]
    say: >-
      The ceremony is over. The transcript is closed now; nothing can be added. Witnesses, read its hash, and sign it with
      your own keys.
    with:
      at-least: 2
"""


def bags_of(*contents: str) -> str:
    """Return lines of bags with these contents."""
    return "".join(f"        - contents: {one}\n" for one in contents)


def custodian_names(count: int) -> tuple[str, ...]:
    """Return the names of the first custodians."""
    return tuple(name for _, name, _ in _CUSTODIANS[:count])
