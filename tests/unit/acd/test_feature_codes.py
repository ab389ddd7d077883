"""What feature codes ask of the desk, and what they are answered with."""

from __future__ import annotations

import pytest

from acd.agents.codes import find_code, obey
from acd.agents.desk import StateNotAllowed
from acd.agents.notes import NoteMissing, NoteProblem
from acd.directory.model import STANDARD_CODES, CodeAction, Directory, FeatureCode
from routing.model import AgentState as S
from routing.ports import StoreUnavailable
from tests.support.call_fakes import FakeDesk

DIRECTORY = Directory(codes={code.code: code for code in STANDARD_CODES})


@pytest.mark.parametrize(
    ("action", "state", "prompt", "asked"),
    [
        ("sign-in", S.OFFLINE, "signed-in", S.AVAILABLE),
        ("sign-out", S.AVAILABLE, "signed-out", S.OFFLINE),
        ("pause", S.AVAILABLE, "paused", S.PAUSED),
        ("resume", S.PAUSED, "resumed", S.AVAILABLE),
        ("resume", S.OFFLINE, "not-possible", None),
        ("end-wrapup", S.WRAPUP, "resumed", S.AVAILABLE),
        ("end-wrapup", S.PAUSED, "not-possible", None),
        ("end-wrapup", S.AVAILABLE, "resumed", None),
        ("extend-wrapup", S.WRAPUP, "wrapup-extended", S.WRAPUP),
        ("wrapup-code", S.WRAPUP, "noted", S.WRAPUP),
        ("refusal-reason", S.AVAILABLE, "noted", S.AVAILABLE),
    ],
)
async def test_a_code_sets_the_state_that_it_is_for(
    action: CodeAction, state: S, prompt: str, asked: S | None
) -> None:
    desk = FakeDesk(state)
    assert await obey(desk, "anna", action, "lunch") == prompt
    assert [what for _, what, _ in desk.asked] == ([asked] if asked else [])


async def test_an_agent_who_asked_for_a_pause_hears_that_it_has_come() -> None:
    desk = FakeDesk(S.WRAPUP)
    desk.then = S.PAUSED
    assert await obey(desk, "anna", "end-wrapup", "") == "paused"


@pytest.mark.parametrize("refusal", [StateNotAllowed("no phone"), StoreUnavailable("away")])
async def test_what_the_desk_cannot_do_is_said(refusal: Exception) -> None:
    desk = FakeDesk()
    desk.refusal = refusal
    assert await obey(desk, "anna", "sign-in", "") == "not-possible"


async def test_who_has_to_note_something_first_is_told_so() -> None:
    desk = FakeDesk(S.WRAPUP)
    desk.refusal = NoteMissing([NoteProblem("code", "is required", in_form=False)])
    assert await obey(desk, "anna", "end-wrapup", "") == "note-missing"


def test_a_number_after_the_code_for_wrapup_codes_is_handed_on() -> None:
    for number in ("1", "12", "200"):
        assert find_code(DIRECTORY, f"*17{number}") == (DIRECTORY.codes["*17"], number)
        assert find_code(DIRECTORY, f"*18{number}") == (DIRECTORY.codes["*18"], number)
    for dialled in ("*171234", "*17*", "*17#1"):
        assert find_code(DIRECTORY, dialled) is None


def test_a_digit_after_a_pausing_code_picks_its_reason() -> None:
    tens = Directory(codes={"*1": FeatureCode("*1", "pause", tuple("abcdefghij"))})
    assert find_code(tens, "*10") == (tens.codes["*1"], "j")
    assert find_code(DIRECTORY, "*134") == (DIRECTORY.codes["*13"], "training")
    assert find_code(DIRECTORY, "*13") == (DIRECTORY.codes["*13"], "")
    for dialled in ("*135", "*13*", "*1311", "*111", "*1", "*", ""):
        assert find_code(DIRECTORY, dialled) is None
