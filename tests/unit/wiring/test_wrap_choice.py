"""The wrap algorithm of a cluster is the best that all its members can, and members that have none in common learn why."""

import asyncio

import pytest

from strongroom.core import ConfigError, WrapAlgorithm
from strongroom.wiring.bootstrap import WrapTried
from strongroom.wiring.wrap_choice import choose_wrap_algorithm

GCM, CBC, OAEP = WrapAlgorithm.HSM_AES_GCM, WrapAlgorithm.HSM_AES_CBC_HMAC, WrapAlgorithm.HSM_RSA_OAEP


def tried(gcm=None, cbc=None, oaep=None, oaep_hash="sha256"):
    return [WrapTried(GCM, "", gcm), WrapTried(CBC, "", cbc), WrapTried(OAEP, oaep_hash, oaep)]


class Members:
    """Members that can be asked, and are counted when they are."""

    def __init__(self, **all_tried):
        self.all_tried = all_tried
        self.asked = []

    def ask(self, name):
        self.asked.append(name)
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(self.all_tried[name])
        return answer

    async def chosen(self, **first_answers):
        answers = {name: first_answers.get(name, found) for name, found in self.all_tried.items()}
        return await choose_wrap_algorithm(answers, self.ask)


async def test_members_that_can_all_do_the_best_are_not_asked_again():
    members = Members(alpha=tried(), beta=tried())
    assert await members.chosen(alpha=tried()[:1], beta=tried()[:1]) is GCM
    assert members.asked == []


async def test_the_best_that_all_can_do_is_taken():
    no_gcm = "no CKM_AES_GCM"
    assert await Members(a=tried(), b=tried(gcm=no_gcm)).chosen() is CBC
    assert await Members(a=tried(cbc="no"), b=tried(gcm=no_gcm)).chosen() is OAEP


async def test_a_member_that_stopped_at_its_best_is_asked_for_the_rest():
    members = Members(alpha=tried(), beta=tried(gcm="no CKM_AES_GCM"))
    assert await members.chosen(alpha=tried()[:1]) is CBC
    assert members.asked == ["alpha", "beta"]


async def test_members_with_nothing_in_common_make_no_cluster_and_learn_why():
    members = Members(alpha=tried(cbc="no CKM_AES_CBC"), beta=tried(gcm="no CKM_AES_GCM", oaep="no RSA"))
    with pytest.raises(ConfigError) as refused:
        await members.chosen()
    for reason in ("no CKM_AES_CBC", "no CKM_AES_GCM", "no RSA", "alpha", "beta"):
        assert reason in refused.value.next_step


async def test_members_that_differ_in_the_hash_of_oaep_have_it_not_in_common():
    none = {"gcm": "no", "cbc": "no"}
    members = Members(a=tried(**none), b=tried(**none, oaep_hash="sha1"))
    with pytest.raises(ConfigError, match="no wrap algorithm"):
        await members.chosen()


async def test_a_cluster_without_members_has_no_algorithm():
    with pytest.raises(ConfigError):
        await choose_wrap_algorithm({}, Members().ask)
