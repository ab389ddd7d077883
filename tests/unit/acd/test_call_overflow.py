"""Callers leave a queue by its rules: where to, what is told, and that nobody is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from acd.calls import model as m
from acd.calls.facts import CallOverflowed
from acd.calls.machine import step
from acd.calls.model import Call, Side, State, Timer
from acd.calls.record import CallRecord
from acd.calls.steps.context import EXTENSION_QUEUE
from acd.calls.steps.ending import record_of
from acd.calls.steps.overflowing import MOST_OVERFLOWS
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.waiting import ANNOUNCEMENT
from acd.directory.model import CallbackRules, Number, OverflowRule, Queue, Relaxation, VoicemailRules
from ivr.flow import FlowDefinition, Play, Voicemail
from ivr.flow import Queue as QueueNode
from routing.model import Requirement
from routing.overflow import Conditions, Moment, Situation
from tests.support.call_cases import CONTEXT, NOW, OFFER, TO_LINE, fresh, of_type

LATE = Conditions(after_seconds=20)
EMPTY = Conditions(no_agent=True)
DESERTING = Conditions("waiting", no_agent=True)
NOBODY = Situation(joining=True, waiting=0, agent_there=False)
DESERTED = Situation(agent_there=False)


class Story:
    """One call of the number +2 in the queue billing, which has these rules."""

    def __init__(self, *rules: OverflowRule, **more: Any) -> None:
        directory = CONTEXT.directory
        billing = Queue("billing", overflow=rules, **more)
        again = FlowDefinition("again", "say", {"say": Play(("closed",), "in"), "in": QueueNode("billing")})
        self.context = replace(
            CONTEXT,
            directory=replace(
                directory,
                queues={**directory.queues, "billing": billing},
                numbers={**directory.numbers, "+9": Number("+9", queue="sales")},
            ),
            flows={**CONTEXT.flows, "again": again},
        )
        self.now = NOW
        self.call: Call = fresh()
        self.effects: list[m.Effect] = []
        self.hear(*TO_LINE)

    def hear(self, *events: m.Event, after: float = 0.0) -> list[m.Effect]:
        """The effects of these events, after so many seconds."""
        self.now += after
        heard: list[m.Effect] = []
        for event in events:
            self.call, effects = step(self.context, self.call, event, self.now)
            heard += effects
        self.effects += heard
        return heard

    def time(self, seconds: float) -> list[m.Effect]:
        return self.hear(m.TimerFired(Timer.OVERFLOW, 0), after=seconds)

    def sees(self, situation: Situation) -> list[m.Effect]:
        return self.hear(m.SituationKnown(self.call.entry, situation))

    @property
    def told(self) -> list[tuple[str, str, str]]:
        facts = [tell.fact for tell in of_type(self.effects, m.Tell)]
        return [(f.queue, f.to_kind, f.why) for f in facts if isinstance(f, CallOverflowed)]

    def hang_up(self) -> CallRecord:
        close = of_type(self.hear(m.LegOver(Side.CALLER, "remote", 0)), m.Close)[0]
        return record_of(self.call, close, self.now)


def test_who_has_waited_so_long_goes_to_another_queue_with_age_and_priority() -> None:
    story = Story(OverflowRule(LATE, queue="sales"))
    assert m.StartTimer(Timer.OVERFLOW, 20) in story.effects
    assert m.AskSituation() not in story.effects
    effects = story.time(20)
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert m.LeaveQueue("c1", "overflowed") in effects
    assert (ticket.call_id, ticket.requirement.queue) == ("c1~1", "sales")
    assert (ticket.enqueued_ms, ticket.priority) == (round(NOW * 1000), 7)
    assert story.told == [("billing", "queue", "waited")]


def test_who_is_to_stand_last_there_loses_age_and_priority() -> None:
    story = Story(OverflowRule(LATE, queue="sales", place="last"))
    ticket = of_type(story.time(20), m.EnterQueue)[0].ticket
    assert (ticket.enqueued_ms, ticket.priority) == (round((NOW + 20) * 1000), 0)


def test_the_record_says_where_and_why_and_counts_the_abandon_for_the_queue_it_was_in() -> None:
    story = Story(OverflowRule(LATE, queue="sales"))
    story.time(20)
    story.now += 5
    record = story.hang_up()
    mark = next(segment for segment in record.segments if segment.state == "overflow")
    assert (mark.queue, mark.to, mark.why, mark.at) == ("billing", "queue sales", "waited", NOW + 20)
    assert (record.queue, record.outcome, record.wait_seconds) == ("sales", "abandoned", 25.0)


def test_who_hangs_up_in_the_flow_has_not_abandoned_the_queue() -> None:
    story = Story(OverflowRule(LATE, flow="main"))
    effects = story.time(20)
    assert m.LeaveQueue("c1", "overflowed") in effects
    assert story.call.state is State.IVR
    record = story.hang_up()
    assert (record.queue, record.outcome) == ("billing", "completed")


def test_who_hangs_up_in_a_queue_after_the_flow_has_abandoned_that_one() -> None:
    story = Story(OverflowRule(LATE, flow="again"))
    story.time(20)
    story.hear(m.PlaybackOver(1))
    assert story.call.state is State.QUEUED
    assert story.hang_up().outcome == "abandoned"


def test_who_is_sent_to_a_box_leaves_a_message_and_has_not_abandoned_the_queue() -> None:
    story = Story(OverflowRule(LATE, voicemail="queue:billing"), voicemail=VoicemailRules())
    effects = story.time(20)
    assert m.LeaveQueue("c1", "overflowed") in effects
    assert story.told == [("billing", "voicemail", "waited")]
    assert of_type(effects, m.PlayToCaller)[0].prompts == ("voicemail-greeting", "beep")
    assert story.call.run is not None
    (taken,) = of_type(story.hear(m.PlaybackOver(story.call.run.step)), m.TakeMessage)
    assert (taken.message.box, taken.message.queue) == ("queue:billing", "billing")
    story.now += 5
    assert story.hang_up().outcome == "voicemail"


def test_who_asked_for_it_while_waiting_leaves_a_message_and_the_line() -> None:
    rules = {"callback": CallbackRules(digit="1", flow="leave"), "voicemail": VoicemailRules()}
    for queue, state in (("billing", State.IVR), ("sales", State.QUEUED)):
        story = Story(**rules)
        leave = FlowDefinition("leave", "m", {"m": Voicemail(f"queue:{queue}")})
        story.context = replace(story.context, flows={"leave": leave})
        effects = story.hear(m.DigitPressed(Side.CALLER, "1"))
        assert story.call.state is state
        assert (m.LeaveQueue("c1", "released") in effects) == (state is State.IVR)
        said = "beep" if state is State.IVR else "not-possible"
        assert said in of_type(effects, m.PlayToCaller)[0].prompts


def test_a_message_is_heard_to_its_end_and_then_the_call_ends() -> None:
    story = Story(OverflowRule(EMPTY, message=("closed", "goodbye")))
    assert m.AskSituation() in story.effects
    effects = story.sees(NOBODY)
    played = of_type(effects, m.PlayToCaller)[0]
    assert (played.prompts, played.language) == (("closed", "goodbye"), "et")
    assert story.call.state is State.IVR
    close = of_type(story.hear(m.PlaybackOver(played.playback)), m.Close)[0]
    assert close.outcome == "completed"
    assert story.told == [("billing", "message", "no-agent")]


def test_a_message_may_be_heard_once_while_waiting_on() -> None:
    told = OverflowRule(LATE, message=("please-wait",), then="wait")
    story = Story(told, OverflowRule(Conditions(after_seconds=50), queue="sales"))
    effects = story.time(20)
    assert m.PlayToCaller(ANNOUNCEMENT, ("please-wait",), "et") in effects
    assert m.StartTimer(Timer.OVERFLOW, 30) in effects
    assert not of_type(effects, m.LeaveQueue)
    assert m.PlayMusic(Side.CALLER, "hold-music") in story.hear(m.PlaybackOver(ANNOUNCEMENT))
    assert not of_type(story.sees(DESERTED), m.PlayToCaller)
    story.time(30)
    assert story.call.queue == "sales"
    assert story.told == [("billing", "message-then-wait", "waited"), ("billing", "queue", "waited")]


def with_leads(story: Story, **leads: tuple[str, ...]) -> Story:
    """The same, where agents of the directory lead these teams."""
    directory = story.context.directory
    agents = {name: replace(agent, leads=leads.get(name, ())) for name, agent in directory.agents.items()}
    story.context = replace(story.context, directory=replace(directory, agents=agents))
    return story


def test_the_leads_of_a_team_may_take_the_call_beside_the_agents_of_the_queue_in_its_place() -> None:
    story = with_leads(Story(OverflowRule(LATE, leads="a")), bert=("a",))
    before = of_type(story.effects, m.EnterQueue)[0].ticket
    effects = story.time(20)
    (changed,) = of_type(effects, m.ChangeNeeds)
    assert not of_type(effects, m.LeaveQueue)
    assert story.call.state is State.QUEUED
    assert changed.ticket == replace(before, requirement=replace(before.requirement, open_to=("lead:a",)))
    assert story.told == [("billing", "leads", "waited")]
    assert ticket_of(story.context, story.call) == changed.ticket, "and is said again so"
    mark = next(segment for segment in story.hang_up().segments if segment.state == "overflow")
    assert (mark.to, mark.why) == ("leads a", "waited")


def test_the_leads_may_take_it_instead_of_the_agents_of_the_queue() -> None:
    rules = OverflowRule(LATE, leads="a", instead=True), OverflowRule(DESERTING, leads="b")
    story = with_leads(
        Story(*rules, requires={"billing": 3}, relax=(Relaxation(60, requires={"billing": 1}),)),
        anna=("a",),
        bert=("b",),
    )
    (changed,) = of_type(story.time(20), m.ChangeNeeds)
    assert changed.ticket.requirement == Requirement(
        "billing", any_of=((("lead:a", 1),),), open_to=("lead:a",)
    )
    assert changed.ticket.steps == ()
    (again,) = of_type(story.sees(DESERTED), m.ChangeNeeds)
    both = ("lead:a", "lead:b")
    group = tuple((lead, 1) for lead in both)
    assert again.ticket.requirement == Requirement("billing", any_of=(group,), open_to=both)


def test_who_waited_for_one_agent_waits_for_the_leads_too_from_then_on() -> None:
    story = Story(OverflowRule(LATE, leads="a"), preferred_seconds=100.0)
    story.call = msgspec.structs.replace(
        story.call, place=replace(story.call.place or m.Place(""), preferred="bert", preferred_seconds=100)
    )
    (changed,) = of_type(with_leads(story, bert=("a",)).time(20), m.ChangeNeeds)
    assert changed.ticket.requirement.agent is None
    assert changed.ticket.requirement.open_to == ("lead:a",)


def test_where_nobody_leads_the_team_any_more_the_next_rule_is_asked() -> None:
    story = Story(OverflowRule(LATE, leads="a"), OverflowRule(LATE, queue="sales"))
    story.time(20)
    assert story.told == [("billing", "nowhere", "waited"), ("billing", "queue", "waited")]


def test_a_number_of_the_directory_leads_to_what_it_leads_to() -> None:
    story = Story(OverflowRule(LATE, number="+9"))
    story.time(20)
    assert (story.call.state, story.call.queue) == (State.QUEUED, "sales")
    story = Story(OverflowRule(LATE, number="+3"))
    story.time(20)
    assert (story.call.state, story.call.run and story.call.run.flow) == (State.IVR, "echo")


def test_an_agent_who_does_not_take_it_leaves_the_caller_in_the_queue_with_the_age() -> None:
    story = Story(OverflowRule(LATE, extension="1002"))
    effects = story.time(20)
    assert of_type(effects, m.EnterQueue)[0].ticket.requirement.agent == "bert"
    offer = replace(OFFER, call_id="c1~1", agent_id="bert", queue=EXTENSION_QUEUE)
    story.hear(m.OfferMade(offer), after=1)
    effects = story.hear(m.LegOver(Side.AGENT, "remote", 486), after=3)
    ticket = of_type(effects, m.EnterQueue)[0].ticket
    assert (ticket.call_id, ticket.requirement.queue) == ("c1~2", "billing")
    assert ticket.enqueued_ms == round(NOW * 1000)


def sent_back(story: Story) -> list[m.Effect]:
    """Nobody takes the call at the agent's, or outside."""
    if story.call.state is not State.FORWARDING:
        offer = replace(OFFER, call_id=story.call.entry, agent_id="bert", queue=EXTENSION_QUEUE)
        story.hear(m.OfferMade(offer), after=1)
    return story.hear(m.LegOver(Side.AGENT, "remote", 486), after=3)


@pytest.mark.parametrize("to", [{"extension": "1002"}, {"number": "+37255512345"}], ids=str)
@pytest.mark.parametrize("at", ["joining", "any"])
def test_who_comes_back_from_where_nobody_took_the_call_is_not_sent_there_again(
    at: Moment, to: dict[str, str]
) -> None:
    empty = Conditions(at, no_agent=True)
    story = Story(OverflowRule(empty, **to), OverflowRule(Conditions(after_seconds=60), queue="sales"))  # type: ignore[arg-type]
    assert m.AskSituation() in story.effects
    story.sees(NOBODY)
    effects = sent_back(story)
    assert (story.call.state, story.call.queue) == (State.QUEUED, "billing")
    assert m.AskSituation() not in effects, "they do not join"
    assert m.StartTimer(Timer.OVERFLOW, 60) in effects, "other rules are looked at from then on"
    for seen in (DESERTED, NOBODY):
        assert not of_type(story.sees(seen), m.LeaveQueue)
    story.time(60)
    assert story.call.queue == "sales"
    assert [kind for _, kind, _ in story.told] == [next(iter(to)), "queue"]


# When.


def test_what_time_alone_decides_waits_for_the_end_of_the_ring() -> None:
    story = Story(OverflowRule(LATE, queue="sales"))
    story.hear(m.OfferMade(OFFER), after=19)
    assert story.time(1) == []
    story.hear(m.TimerFired(Timer.RING, 0), after=14)
    assert (story.call.state, story.call.queue) == (State.QUEUED, "sales")


def test_a_ring_that_ends_before_leaves_the_timer_as_it_is() -> None:
    story = Story(OverflowRule(LATE, queue="sales"))
    story.hear(m.OfferMade(OFFER), after=1)
    effects = story.hear(m.LegOver(Side.AGENT, "remote", 486), after=4)
    assert m.StartTimer(Timer.OVERFLOW, 15) in effects
    assert (story.call.state, story.call.queue) == (State.QUEUED, "billing")


def test_an_agent_who_answers_stops_the_rules() -> None:
    story = Story(OverflowRule(LATE, queue="sales"))
    effects = story.hear(m.OfferMade(OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(7))
    assert m.StopTimer(Timer.OVERFLOW) in effects
    assert story.sees(DESERTED) == []


def test_who_asks_to_be_called_back_is_let_finish() -> None:
    story = Story(OverflowRule(LATE, queue="sales"), callback=CallbackRules(digit="9", flow="echo"))
    story.hear(m.DigitPressed(Side.CALLER, "9"))
    assert story.call.menu is not None
    assert story.time(20) == [m.StartTimer(Timer.OVERFLOW, 2.0)]
    story.call = msgspec.structs.replace(story.call, menu=None)
    story.time(2)
    assert story.call.queue == "sales"


def test_what_is_said_of_a_place_left_since_changes_nothing() -> None:
    story = Story(OverflowRule(EMPTY, queue="last"), OverflowRule(LATE, queue="sales"))
    story.time(20)
    assert story.hear(m.SituationKnown("c1", DESERTED)) == []
    assert story.call.queue == "sales"


def test_joining_and_leaving_are_told_apart() -> None:
    story = Story(OverflowRule(Conditions("joining", no_agent=True), queue="sales"))
    story.sees(DESERTED)
    assert story.call.queue == "billing"
    story.sees(NOBODY)
    assert story.call.queue == "sales"


@pytest.mark.parametrize(
    ("rules", "seen", "prompt"),
    [
        ({"max_waiting": 3}, Situation(joining=True, waiting=3), "queue-full"),
        ({"join_when_empty": False}, NOBODY, "nobody-there"),
        ({"leave_when_empty": True}, DESERTED, "nobody-there"),
    ],
)
def test_who_cannot_wait_here_hears_so(rules: dict[str, Any], seen: Situation, prompt: str) -> None:
    story = Story(**rules)
    assert of_type(story.sees(seen), m.PlayToCaller)[0].prompts == (prompt,)
    assert story.hang_up().outcome == "completed"


@pytest.mark.parametrize(
    ("rules", "seen"),
    [
        ({"max_waiting": 3}, Situation(joining=True, waiting=2)),
        ({"max_waiting": 3}, Situation(waiting=30)),
        ({"join_when_empty": False}, DESERTED),
        ({"leave_when_empty": True}, NOBODY),
        ({}, NOBODY),
        ({}, DESERTED),
    ],
)
def test_who_can_wait_here_does(rules: dict[str, Any], seen: Situation) -> None:
    story = Story(**rules)
    assert story.sees(seen) == []
    assert story.call.state is State.QUEUED


def test_a_rule_of_the_list_goes_before_the_message_for_a_full_line() -> None:
    story = Story(OverflowRule(Conditions("joining", waiting_over=2), queue="sales"), max_waiting=3)
    story.sees(Situation(joining=True, waiting=3))
    assert story.call.queue == "sales"


# Nobody is lost.


@pytest.mark.parametrize(
    "nowhere",
    [
        OverflowRule(LATE, queue="gone"),
        OverflowRule(LATE, queue="billing"),
        OverflowRule(LATE, flow="gone"),
        OverflowRule(LATE, number="+999"),
        OverflowRule(LATE, extension="999"),
    ],
    ids=str,
)
def test_a_target_that_is_not_there_is_told_and_the_next_rule_is_asked(nowhere: OverflowRule) -> None:
    story = Story(nowhere)
    effects = story.time(20)
    assert not of_type(effects, m.LeaveQueue)
    assert (story.call.state, story.call.queue) == (State.QUEUED, "billing")
    assert story.told == [("billing", "nowhere", "waited")]
    story = Story(nowhere, OverflowRule(LATE, queue="sales"))
    story.time(20)
    assert story.call.queue == "sales"


def test_a_caller_who_goes_in_circles_stays_at_last() -> None:
    story = Story(OverflowRule(EMPTY, flow="again"))
    for _ in range(MOST_OVERFLOWS):
        story.sees(NOBODY)
        story.hear(m.PlaybackOver(1))
        assert story.call.state is State.QUEUED
    story.sees(NOBODY)
    assert (story.call.state, story.call.queue) == (State.QUEUED, "billing")
    assert story.told[-1] == ("billing", "nowhere", "no-agent")
    assert len(story.told) == MOST_OVERFLOWS + 1
    assert not story.sees(NOBODY)
