"""The directory file as a whole."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from acd.directory.model import Directory, PriorityClass
from acd.directory.schema.agents import STANDARD_ENTRIES, AgentEntry, CodeEntry
from acd.directory.schema.callers import CallerListEntry
from acd.directory.schema.devices import DeviceEntry
from acd.directory.schema.dialling import DiallingEntry, RouteEntry, TeamEntry
from acd.directory.schema.queues import QueueEntry
from acd.directory.schema.trunks import NumberEntry, TrunkEntry
from acd.directory.schema.voicemail import BoxEntry
from acd.directory.schema.webhooks import WebhookEntry
from acd.directory.schema.words import Entry, Name


class DirectoryFile(Entry):
    """The whole file. Entries are checked by themselves here, against each other in acd.directory.check."""

    trunks: list[TrunkEntry] = []
    numbers: list[NumberEntry] = []
    skills: list[Name] = []
    queues: list[QueueEntry] = []
    agents: list[AgentEntry] = []
    codes: list[CodeEntry] = STANDARD_ENTRIES
    devices: list[DeviceEntry] = []
    boxes: list[BoxEntry] = []
    webhooks: list[WebhookEntry] = []
    priorities: dict[Name, Annotated[int, Field(ge=0, le=99)]] = {}
    caller_lists: Annotated[list[CallerListEntry], Field(max_length=1000)] = []
    teams: list[TeamEntry] = []
    routes: list[RouteEntry] = []
    dialling: DiallingEntry = DiallingEntry()

    def build(self, realm: str) -> Directory:
        """The snapshot that this file describes, revision 0, with passwords hashed for `realm`."""
        agents = [entry.build(realm) for entry in self.agents]
        return Directory(
            trunks=MappingProxyType({entry.name: entry.build() for entry in self.trunks}),
            numbers=MappingProxyType({entry.number: entry.build() for entry in self.numbers}),
            skills=frozenset(self.skills),
            queues=MappingProxyType({entry.name: entry.build() for entry in self.queues}),
            agents=MappingProxyType({agent.id: agent for agent in agents}),
            agent_by_extension=MappingProxyType({agent.extension: agent for agent in agents}),
            codes=MappingProxyType({entry.code: entry.build() for entry in self.codes}),
            devices=MappingProxyType({entry.name: entry.build() for entry in self.devices}),
            boxes=MappingProxyType({entry.name: entry.build() for entry in self.boxes}),
            webhooks=MappingProxyType({entry.name: entry.build() for entry in self.webhooks}),
            priorities=MappingProxyType(
                {name: PriorityClass(name, priority) for name, priority in sorted(self.priorities.items())}
            ),
            caller_lists=MappingProxyType(
                {
                    entry.name: entry.build(order, self.priorities)
                    for order, entry in enumerate(self.caller_lists)
                }
            ),
            teams=MappingProxyType({entry.name: entry.build() for entry in self.teams}),
            routes=MappingProxyType({entry.prefix: entry.build() for entry in self.routes}),
            dialling=self.dialling.build(),
        )
