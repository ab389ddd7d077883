"""What flows and the directory say of each other is there, or is named with its place and the remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.directory.model import Agent, Box, Directory, Number, Queue, VoicemailRules
from acd.flows import find_loose_ends
from ivr.flow import FlowDefinition, Node, Set, Transfer, Voicemail
from ivr.flow import Queue as QueueNode
from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary

PROMPTS = PromptLibrary([SHIPPED_PROMPTS])
ANNA = Agent("anna", "1001", voicemail=VoicemailRules())
DIRECTORY = Directory(
    numbers={"+3726000100": Number("+3726000100", flow="desk")},
    queues={"billing": Queue("billing", voicemail=VoicemailRules())},
    agents={"anna": ANNA},
    agent_by_extension={"1001": ANNA},
    boxes={"reception": Box("reception")},
)


def desk(node: Node) -> dict[str, FlowDefinition]:
    return {"desk": FlowDefinition("desk", "n", {"n": node}, "flows/desk.yaml", {"n": 7})}


@pytest.mark.parametrize(
    "node",
    [
        QueueNode("billing"),
        Transfer("extension:1001"),
        Transfer("number:+3726000100"),
        Voicemail("extension:1001"),
        Voicemail("agent:anna"),
        Voicemail("queue:billing"),
        Voicemail("box:reception"),
    ],
)
def test_what_leads_somewhere_is_no_problem(node: Node) -> None:
    assert find_loose_ends(DIRECTORY, desk(node), PROMPTS) == []


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (QueueNode("biling"), "there is no queue 'biling'; did you mean 'billing'?"),
        (QueueNode("sales"), "there is no queue 'sales'; add it to the queues of the directory"),
        (Transfer("extension:1010"), "there is no extension '1010'; did you mean '1001'?"),
        (Set("n", agent="ana"), "there is no agent 'ana'; did you mean 'anna'?"),
        (Transfer("number:112"), "there is no number '112'; add it to the directory"),
        (
            Voicemail("box:recption"),
            "there is no voicemail box 'box:recption'; did you mean 'box:reception'?",
        ),
        (
            Voicemail("extension:9"),
            "there is no voicemail box 'extension:9'; give it `voicemail` in the directory",
        ),
    ],
)
def test_what_leads_nowhere_is_told_with_file_line_and_node(node: Node, told: str) -> None:
    assert find_loose_ends(DIRECTORY, desk(node), PROMPTS) == [f"flows/desk.yaml:7: node 'n': {told}"]


def test_a_flow_that_no_number_leads_to_may_name_anything() -> None:
    flows = {**desk(QueueNode("billing")), "main": FlowDefinition("main", "n", {"n": QueueNode("x")})}
    assert find_loose_ends(DIRECTORY, flows, PROMPTS) == []


def test_a_flow_whose_file_is_gone_is_told_with_its_number() -> None:
    (told,) = find_loose_ends(DIRECTORY, {}, PROMPTS)
    assert told.startswith("number +3726000100 leads to the flow 'desk', which is not there; put its file")


def test_a_greeting_that_nobody_has_recorded_is_told_with_its_box() -> None:
    greeting = Box("reception", rules=VoicemailRules(greeting=("welcom",)))
    (told,) = find_loose_ends(
        replace(DIRECTORY, boxes={"reception": greeting}), desk(QueueNode("billing")), PROMPTS
    )
    assert told == (
        "box box:reception: its greeting 'welcom' is not recorded in the default language 'en'; "
        "did you mean 'welcome'?"
    )
