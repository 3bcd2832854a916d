"""A complete, commented script for each type of ceremony: what ``strongroom ceremony new`` writes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.ceremony._example_parts import (
    BAGS,
    CLOSING,
    COLLECT,
    CRYPTO_OFFICERS,
    CUSTODIANS,
    HEAD,
    MEMBERS,
    OPENING,
    SECURITY_OFFICERS,
    bags_of,
    custodian_names,
)
from strongroom.ceremony._form import CeremonyType


class _Example(NamedTuple):
    title: str
    what: str
    """As it is said aloud: *This is …*."""
    people: str
    steps: str


_INITIALISE: Final = """
  - id: initialise
    do: initialise
    by: sam
    witness: [walter, eva]
    say: >-
      The blank tokens are initialised now, and the root key is made in the first HSM and copied to the others. I read the
      hash of the genesis; the security officers compare it with the one that they signed.
    expect: One root key, with the same check value on every member; the genesis is pinned in each token.
    # The script of strongroom init and the genesis that the officers signed (docs/initialisation.md); sha256sum FILE.
    with:
      script: init.toml
      script-sha256: ""
      genesis: genesis.json
      genesis-sha256: ""
"""

_DELIVERIES: Final = """
  - id: deliveries
    do: bag-in
    by: ada
    witness: [walter, eva]
    say: The deliveries with the PINs of the tokens' security officers, encrypted, go into a bag for each of their officers.
    expect: Every bag is sealed; its number is the one on the screen.
    with:
      bags:
        - contents: Delivery for Sam Example
        - contents: Delivery for Sue Example
"""

_MAKE_SET: Final = """
  - id: {id}
    do: make-backup-set
    by: ada
    witness: [walter, eva]
    say: >-
      {say} Its secret is split: any three of five custodians open it, and two learn nothing. Each custodian comes to the
      screen alone, copies the words of their share, and enters them again from the copy. Nobody else looks.
    expect: Each copy is proved before the next custodian comes. The set is in use when all five are.
    with:
      threshold: 3
      custodians: [kai, kim, kurt, kate, knut]

  - id: {create_id}
    do: create-backup
    by: carl
    witness: [walter, eva]
    say: Roots, and the keys that may leave, are wrapped out under the set. The bundle is signed. I read its hash.
    expect: The bundle names every root and every key that may leave; no share is in it.
    with:
      bundle: backup.bundle
"""

_BAG_OUT: Final = """
  - id: take-out
    do: bag-out
    by: ada
    witness: [walter, eva]
    say: Each custodian shows their bag. The witnesses look at the seal, and compare the number with the transcript before.
    expect: No bag was opened; every number is the one that was recorded when it was closed.
    with:
      bags:
        - contents: Share of Kai Example
          number: ""             # as it stands in the transcript of the ceremony before; empty: it is recorded
        - contents: Share of Kim Example
        - contents: Share of Kurt Example
"""

_RESTORE_COMMENT: Final = """
  # To rebuild a service in the place of a test, take this step for open-backup. Its script is that of strongroom init for
  # the blank members (docs/recovery.md). Production roots go into SoftHSM only with the words of accept-softhsm.
  #
  # - id: restore
  #   do: restore
  #   by: ada
  #   witness: [walter, eva]
  #   say: The keys are unwrapped in the blank HSMs now, and the service's records are put back.
  #   expect: The canary ciphertext decrypts; each check value is that of the manifest.
  #   with:
  #     bundle: backup.bundle
  #     bundle-sha256: ""
  #     script: init.toml
  #     script-sha256: ""
  #     accept-softhsm: ""       # or: I accept that production roots leave the protection of an HSM
"""

_RETIRE: Final = """
  - id: retire
    do: retire-set
    by: carl
    witness: [walter, eva]
    say: >-
      The set that was in use before is retired: no backup is made under it any more. Old bundles still open with enough
      old shares. I read the list of old bundles, which are to be destroyed.
    expect: One set is in use, the new one.
    with:
      set-id: ""                 # empty: the set that was in use when this ceremony began
"""

_CHANGE: Final = """
  - id: change
    do: change-officers
    by: sam
    witness: [walter, eva]
    say: >-
      The officers have read and signed a change of officers. I read the request in plain words. It comes into force now,
      and every request that waits becomes void.
    expect: The list of officers is as the request says; every member follows the new record.
    with:
      request: request.json      # strongroom approvals show request.json
      request-sha256: ""
"""

_ROOT_CA: Final = """
  - id: authority
    do: make-root-ca
    by: carl
    witness: [walter, eva]
    say: >-
      The key of the certificate authority is made in the HSM. It may not leave: no backup holds it. Its own certificate and
      a request for a certificate are made. I read the fingerprint of the public key.
    expect: The certificate verifies under its own key; the attributes read back say that the key was made inside and never leaves.
    with:
      common-name: Example Root CA
      organisation: Example Ltd
      country: ""
      spec: ECC_NIST_P384
      valid-years: 20
"""

_JOIN: Final = """
  - id: join
    do: join-member
    by: sam
    witness: [walter, eva]
    say: >-
      The blank token becomes a member. The security officers present the PINs of the members' security officers; then the
      root key and the keys are copied to it, and each copy is proved.
    expect: The new member has the same root key, by its check value, and every key that the others have.
    # As strongroom members add takes it (docs/initialisation.md).
    with:
      name: gamma
      member-file: gamma.toml
      member-file-sha256: ""
      reset: ""                  # serial number of a token that is erased first; empty: a blank one is taken
"""


def _bags(identifier: str, count: int) -> str:
    return BAGS.format(id=identifier) + bags_of(*(f"Share of {name}" for name in custodian_names(count)))


def _tested(identifier: str) -> str:
    return COLLECT.format(id=identifier, open_id="test", custodians="kai, kurt, knut", bundle="backup.bundle")


_EXAMPLES: Final[Mapping[CeremonyType, _Example]] = MappingProxyType(
    {
        CeremonyType.ROOT_KEY: _Example(
            "Root key ceremony",
            "the ceremony in which the root key is made",
            SECURITY_OFFICERS,
            _INITIALISE + MEMBERS.format(id="members") + _DELIVERIES,
        ),
        CeremonyType.BACKUP: _Example(
            "Backup ceremony",
            "the ceremony in which a backup set is made and its shares are given out",
            CRYPTO_OFFICERS + CUSTODIANS,
            MEMBERS.format(id="members")
            + _MAKE_SET.format(id="make-set", create_id="create", say="A backup set is made.")
            + _tested("collect")
            + _bags("bags", 5),
        ),
        CeremonyType.RECOVERY: _Example(
            "Recovery test",
            "the ceremony in which a backup is opened",
            CUSTODIANS,
            _BAG_OUT
            + COLLECT.format(
                id="collect", open_id="test", custodians="kai, kim, kurt", bundle="backup.bundle"
            )
            + _RESTORE_COMMENT
            + _bags("bags", 3),
        ),
        CeremonyType.RESHARE: _Example(
            "Change of custodians",
            "the ceremony in which a new backup set takes the place of the old one",
            CRYPTO_OFFICERS + CUSTODIANS,
            MEMBERS.format(id="members")
            + _MAKE_SET.format(id="make-set", create_id="create", say="A new backup set is made.")
            + _tested("collect")
            + _RETIRE
            + _bags("bags", 5),
        ),
        CeremonyType.OFFICER_CHANGE: _Example(
            "Change of officers",
            "the ceremony in which a change of officers comes into force",
            SECURITY_OFFICERS,
            _CHANGE + MEMBERS.format(id="members"),
        ),
        CeremonyType.ROOT_CA: _Example(
            "Root certificate authority",
            "the ceremony in which the key of the certificate authority is made",
            CRYPTO_OFFICERS,
            MEMBERS.format(id="members") + _ROOT_CA,
        ),
        CeremonyType.MEMBER_JOIN: _Example(
            "A member joins",
            "the ceremony in which another HSM joins the cluster",
            SECURITY_OFFICERS,
            MEMBERS.format(id="members-before") + _JOIN + MEMBERS.format(id="members-after"),
        ),
    }
)


def example_script(kind: CeremonyType) -> bytes:
    """Return a script of that type, to be filled in; as it is it can be rehearsed."""
    example = _EXAMPLES[kind]
    text = (
        HEAD.format(title=example.title, id=f"{kind}-1", type=kind)
        + example.people
        + OPENING.format(what=example.what)
        + example.steps
        + CLOSING
    )
    return text.encode()
