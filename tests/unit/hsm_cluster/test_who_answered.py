"""Whoever wants to know which workers answered learns it, of its own calls alone."""

import asyncio

from strongroom.core import note_answer, noting_members


async def test_answers_are_noted_for_the_task_that_asked_and_those_that_it_began():
    async def call(member: str, generation: int) -> tuple[str, str]:
        with noting_members() as served:
            note_answer(member, 0, generation)
            await asyncio.sleep(0)
            await asyncio.create_task(answer_of(member, generation + 1))
            note_answer(member, 0, generation)
        return served.members, served.sessions

    async def answer_of(member: str, generation: int) -> None:
        note_answer(member, 0, generation)

    found = await asyncio.gather(call("alpha", 3), call("beta", 7))
    assert found == [("alpha", "0/3 0/4"), ("beta", "0/7 0/8")]


def test_without_anybody_who_asks_nothing_is_noted():
    note_answer("alpha", 0, 1)
    with noting_members() as served:
        pass
    note_answer("beta", 0, 1)
    assert (served.members, served.sessions) == ("", "")
