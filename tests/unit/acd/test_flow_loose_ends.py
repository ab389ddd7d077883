"""What flows and the directory say of each other is there, or is named with its place and the remedy."""

from __future__ import annotations

import pytest

from acd.directory.model import Agent, Directory, Number, Queue
from acd.flows import find_loose_ends
from ivr.flow import FlowDefinition, Node, Set, Transfer
from ivr.flow import Queue as QueueNode

ANNA = Agent("anna", "1001")
DIRECTORY = Directory(
    numbers={"+3726000100": Number("+3726000100", flow="desk")},
    queues={"billing": Queue("billing")},
    agents={"anna": ANNA},
    agent_by_extension={"1001": ANNA},
)


def desk(node: Node) -> dict[str, FlowDefinition]:
    return {"desk": FlowDefinition("desk", "n", {"n": node}, "flows/desk.yaml", {"n": 7})}


@pytest.mark.parametrize(
    "node", [QueueNode("billing"), Transfer("extension:1001"), Transfer("number:+3726000100")]
)
def test_what_leads_somewhere_is_no_problem(node: Node) -> None:
    assert find_loose_ends(DIRECTORY, desk(node)) == []


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (QueueNode("biling"), "there is no queue 'biling'; did you mean 'billing'?"),
        (QueueNode("sales"), "there is no queue 'sales'; add it to the queues of the directory"),
        (Transfer("extension:1010"), "there is no extension '1010'; did you mean '1001'?"),
        (Set("n", agent="ana"), "there is no agent 'ana'; did you mean 'anna'?"),
        (Transfer("number:112"), "there is no number '112'; add it to the directory"),
    ],
)
def test_what_leads_nowhere_is_told_with_file_line_and_node(node: Node, told: str) -> None:
    assert find_loose_ends(DIRECTORY, desk(node)) == [f"flows/desk.yaml:7: node 'n': {told}"]


def test_a_flow_that_no_number_leads_to_may_name_anything() -> None:
    flows = {**desk(QueueNode("billing")), "main": FlowDefinition("main", "n", {"n": QueueNode("x")})}
    assert find_loose_ends(DIRECTORY, flows) == []


def test_a_flow_whose_file_is_gone_is_told_with_its_number() -> None:
    (told,) = find_loose_ends(DIRECTORY, {})
    assert told.startswith("number +3726000100 leads to the flow 'desk', which is not there; put its file")
