"""What an operator asks main about members, over its real control socket."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_runtime import until
from strongroom.config import Home
from strongroom.core import MemberFailedError
from strongroom.hsm.cluster import ClusterTable, Drift, DriftKind, DriftReport
from strongroom.runtime._control import ControlServer
from strongroom.wiring.home import remove_runtime_folder, restore_runtime_folder
from strongroom.wiring.members_door import (
    MembersAnswer,
    MembersNotReachableError,
    MembersRequest,
    MemberTest,
    ProofStep,
    ask_members,
)

DRIFT = Drift(DriftKind.MISSING, "key", "00" * 16, "payroll", cause="nobody has it", next_step="wait")
ANSWER = MembersAnswer(
    tests=[MemberTest("alpha", "active", [ProofStep("root", 1.25)])],
    reports=[DriftReport("beta", 1.5, 3, [DRIFT])],
    failures={"gamma": "it is stopped"},
)


class Main:
    """The end of main: answers with what it is given, and keeps what it was asked."""

    def __init__(self, home):
        self.asked = []
        self.answer = ANSWER
        self.server = ControlServer(lambda suspicion: None, members=self._answer)
        self.path = restore_runtime_folder(home) / "control"

    async def _answer(self, request):
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    remove_runtime_folder(made)


@pytest.fixture
async def main(home):
    made = Main(home)
    await made.server.listen(made.path)
    yield made
    made.server.close()


async def test_question_and_answer_go_through_whole(main, home):
    main.server.publish(ClusterTable(1, []))
    for request in (MembersRequest("test", None), MembersRequest("reconcile", "beta", repair=True)):
        assert await ask_members(home, request, timeout_s=20) == ANSWER
        assert main.asked[-1] == request


async def test_a_refusal_comes_back_in_words(main, home):
    main.answer = MemberFailedError("there is no member 'x'", next_step="the members are: alpha")
    answer = await ask_members(home, MembersRequest("test", "x"), timeout_s=20)
    assert (answer.failure.message, answer.failure.next_step) == (main.answer.message, main.answer.next_step)


async def test_a_bug_tells_its_type_alone(main, home):
    main.answer = ValueError("the PIN is 1234")
    answer = await ask_members(home, MembersRequest("test", None), timeout_s=20)
    assert answer.failure.message == "unexpected ValueError in the worker"


async def test_nobody_at_the_socket_is_told_as_such(home):
    with pytest.raises(MembersNotReachableError, match="answers at its control socket"):
        await ask_members(home, MembersRequest("test", None), timeout_s=20)


async def test_main_that_says_nothing_is_given_up(main, home):
    never = asyncio.Event()

    async def silent(request):
        await never.wait()

    main.server._members = silent
    with pytest.raises(MembersNotReachableError, match="did not answer"):
        await ask_members(home, MembersRequest("test", None), timeout_s=0.2)


async def test_main_that_ends_in_the_middle_is_told_as_such(main, home):
    async def dies(request):
        main.server.close()

    main.server._members = dies
    with pytest.raises(MembersNotReachableError):
        await ask_members(home, MembersRequest("test", None), timeout_s=20)


async def test_questions_of_another_form_cut_the_caller_off(main):
    reader, writer = await asyncio.open_unix_connection(str(main.path))
    try:
        payload = msgspec.msgpack.encode(["MembersRequest", "destroy everything", None, False])
        writer.write(len(payload).to_bytes(4, "big") + payload)
        async with asyncio.timeout(60):
            while await reader.read(65536):
                pass
        await until(lambda: not main.server._connections)
        assert main.asked == []
    finally:
        writer.close()


@given(
    st.builds(
        Drift, st.sampled_from(DriftKind), st.text(), st.text(), st.text(), st.text(), st.text(), st.text()
    )
)
def test_a_report_says_each_drift_in_one_line_and_survives_the_way(drift):
    report = DriftReport("alpha", 1.0, 0, [drift])
    assert msgspec.json.decode(msgspec.json.encode(report), type=DriftReport) == report
    assert len(report.in_words()) == 1
    assert report.is_clean is not drift.is_open
