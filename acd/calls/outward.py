"""Whether a number outside may be called, which way, and what number is shown there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from acd.calls.model import Call
from acd.calls.outside import Outside, Way
from acd.directory.model import Agent, DialClass, Directory, Route, Team
from acd.errors import AcdError
from acd.sip.identity import normalised


class DialRefused(AcdError):
    """This number may not be called, or not by this agent, or not now."""

    sip_status = 403
    cause = "dial-refused"


class NoRoute(DialRefused):
    """No route leads to such numbers."""

    sip_status = 404
    cause = "no-route"


class NotAllowed(DialRefused):
    """The number is of a class that this agent has no right to call."""

    cause = "not-allowed"


class OnDoNotCallList(DialRefused):
    """The number, or what it begins with, is on the do-not-call list."""

    cause = "do-not-call"


class TooManyOutside(DialRefused):
    """The agent has as many calls to the outside as one may have."""

    cause = "too-many-calls"


class ListUnknown(DialRefused):
    """Whether the number is on the do-not-call list could not be found out."""

    sip_status = 503
    cause = "do-not-call-unknown"


def written(directory: Directory, dialled: str) -> str:
    """What was dialled as E.164; just as it is where a route without a plus takes it."""
    if _literal(directory, dialled) is not None:
        return dialled
    return normalised(dialled, directory.dialling.country)


def route_of(directory: Directory, number: str) -> Route | None:
    """The route of a number as `written` gives it: the longest prefix counts."""
    lengths = range(len(number), 0, -1)
    return next((route for n in lengths if (route := directory.routes.get(number[:n]))), None)


def _literal(directory: Directory, dialled: str) -> Route | None:
    return None if dialled.startswith("+") else route_of(directory, dialled)


def rights_of(directory: Directory, agent: Agent) -> Collection[DialClass]:
    """What an agent may call outside: by their own entry, else by that of the team."""
    own = _team_of(directory, agent).dialling if agent.dialling is None else agent.dialling
    return {*own, "emergency"}


def _team_of(directory: Directory, agent: Agent) -> Team:
    return directory.teams.get(agent.team) or Team(agent.team)


def outside(
    directory: Directory, dialled: str, *, allowed: Collection[str], shown: str, by: str = "", limit: int = 0
) -> Outside:
    """The way to a number outside. Raises NoRoute, NotAllowed."""
    number = written(directory, dialled)
    route = route_of(directory, number)
    if route is None or not number.strip("+"):
        raise NoRoute("no route leads to this number")
    if route.kind not in allowed:
        raise NotAllowed(f"calls of class {route.kind} are not allowed")
    ways = tuple(Way(trunk, route.prepend + number[route.strip :]) for trunk in route.trunks)
    return Outside(number, route.kind, ways, shown, by, limit)


def outside_for_agent(directory: Directory, agent_id: str, dialled: str, shown: str = "") -> Outside:
    """The same with the rights, the limit and, where none is given, the number of an agent.

    Raises NoRoute, NotAllowed.
    """
    agent = directory.agents.get(agent_id)
    if agent is None:
        raise NotAllowed("nobody of this name may call")
    team = _team_of(directory, agent)
    own = shown or agent.caller_id or team.caller_id or number_of_centre(directory)
    limit = agent.outside_calls or team.outside_calls or directory.dialling.outside_calls
    allowed = rights_of(directory, agent)
    return outside(directory, dialled, allowed=allowed, shown=own, by=agent_id, limit=limit)


def number_of_centre(directory: Directory) -> str:
    """Shown where there is no better one."""
    return directory.dialling.caller_id or next(iter(directory.numbers), "")


def about(directory: Directory, call: Call) -> Mapping[str, str]:
    """What a header of a trunk may tell of the call: its attributes, and each of CALL_WORDS."""
    agent = directory.agents.get(call.agent or call.from_agent)
    own = {
        "agent": agent.id if agent else "",
        "call": call.id,
        "called": call.called,
        "caller": call.extension if call.is_outgoing else call.caller,
        "extension": agent.extension if agent else "",
        "language": call.language,
        "queue": call.queue,
        "team": agent.team if agent else "",
    }
    return {**call.attributes, **own}


def shown_number(directory: Directory, call: Call) -> str:
    """What a call to the outside for this call's caller shows: its queue's number, or the one of ours that
    the caller had dialled, or one that leads to the queue."""
    if call.is_outgoing and call.outside is not None:
        return call.outside.shown
    rules = directory.queues.get(call.queue)
    if rules is not None and rules.caller_id:
        return rules.caller_id
    if call.called in directory.numbers:
        return call.called
    of_queue = (number.number for number in directory.numbers.values() if number.queue == call.queue)
    return next(of_queue, number_of_centre(directory))


def outside_for_callback(directory: Directory, call: Call) -> Outside:
    """The customer of a callback: by the rules of its queue, or the rights of who promised it.

    Raises NoRoute, NotAllowed.
    """
    rules = directory.queues.get(call.queue)
    allowed: Collection[str] = directory.dialling.operators
    if rules is not None and rules.callback is not None:
        allowed = rules.callback.dialling
    order = call.callback
    if order is not None and order.by in directory.agents:
        allowed = rights_of(directory, directory.agents[order.by])
    number = order.number if order else call.caller
    return outside(directory, number, allowed=allowed, shown=shown_number(directory, call))
