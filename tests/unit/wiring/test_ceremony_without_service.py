"""A ceremony in a home whose service does not run: what needs it says how to start it, and is tried again."""

import pytest

from fakes_ceremony import rehearsal_setting
from strongroom.ceremony import ScriptedParticipants
from strongroom.config import Home
from strongroom.core import StrongroomError
from strongroom.wiring.ceremony_backup import CreatingBackup
from strongroom.wiring.ceremony_stage import RealStage
from strongroom.wiring.ceremony_workplace import Workplace


async def test_a_backup_without_a_running_service_says_to_start_it_and_leaves_nothing(tmp_path):
    setting = rehearsal_setting(tmp_path)
    step = setting.script.step("create")
    people = ScriptedParticipants(setting.script)
    doing = CreatingBackup(Workplace(setting, RealStage(Home(tmp_path / "home"))))
    with pytest.raises(StrongroomError, match="no service of") as refused:
        await doing.perform(step, people)
    assert refused.value.next_step == "start it: strongroom serve"
    assert await doing.resume(step, people) is None
    assert not any(setting.artefacts.iterdir())
