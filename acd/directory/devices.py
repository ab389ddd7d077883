"""Which device profile a phone has. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from acd.directory.model import STANDARD_DEVICE, Agent, Device, Directory


def device_of(directory: Directory, agent: Agent, user_agent: str) -> Device:
    """The agent's own profile, else the one whose pattern fits what the phone calls itself.

    Of several patterns that fit, the longest counts, as the most exact one.
    """
    if agent.device:
        return directory.devices.get(agent.device, STANDARD_DEVICE)
    said = user_agent.lower()
    fitting = [
        device
        for device in directory.devices.values()
        if device.user_agent and fnmatchcase(said, device.user_agent.lower())
    ]
    return max(fitting, key=lambda device: (len(device.user_agent), device.name), default=STANDARD_DEVICE)
