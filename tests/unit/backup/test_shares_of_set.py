"""A share that somebody brings is its custodian's, of another set, or altered, before any other share is there."""

import dataclasses

import pytest

from backup_documents import SHARE_KEY, SoftwareSigner, a_set
from strongroom.backup import AlteredShareError, SetCustodian, WrongSetError, custodian_of_share
from strongroom.core import Secret
from strongroom.shares import Share, SharePlan, possession_public_key, split

SHARES = split(Secret(SHARE_KEY), SharePlan(3, 5))
SET_ID = bytes(range(16))
SET = a_set(
    SoftwareSigner().spki,
    set_id=SET_ID.hex(),
    slip39_identifier=SHARES[0].set_identifier,
    custodians=tuple(
        SetCustodian(
            id=f"custodian-{share.index}",
            name=f"Custodian {share.index}",
            location="safe",
            share_index=share.index,
            delivery="paper",
            possession_key=possession_public_key(share, SET_ID),
        )
        for share in SHARES
    ),
)


def test_each_share_is_its_custodians() -> None:
    assert [custodian_of_share(SET, share).id for share in SHARES] == [f"custodian-{n}" for n in range(1, 6)]


def test_an_altered_share_is_told_alone_and_by_the_name_of_its_custodian() -> None:
    share = SHARES[2]
    value = bytearray(share.value.reveal())
    value[31] ^= 1
    with pytest.raises(AlteredShareError, match="not share 3 as Custodian 3 was given it") as refused:
        custodian_of_share(SET, Share(share.set_identifier, 3, 3, Secret(value)))
    assert refused.value.index == 3


@pytest.mark.parametrize(
    ("identifier", "index", "threshold"),
    [
        (SHARES[0].set_identifier ^ 1, 1, 3),
        (SHARES[0].set_identifier, 6, 3),
        (SHARES[0].set_identifier, 1, 2),
    ],
)
def test_a_share_of_another_set_is_not_called_altered(identifier: int, index: int, threshold: int) -> None:
    with pytest.raises(WrongSetError):
        custodian_of_share(SET, Share(identifier, index, threshold, SHARES[0].value))


@pytest.mark.parametrize("field", [{"iteration_exponent": 15}, {"is_extendable": False}])
def test_a_share_that_asks_for_another_decryption_than_sets_are_made_with_is_altered(
    field: dict[str, int],
) -> None:
    share = dataclasses.replace(SHARES[1], **field)
    with pytest.raises(AlteredShareError, match="not share 2"):
        custodian_of_share(SET, share)
