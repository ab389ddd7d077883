"""The automatic call distributor: SIP, media, calls, agents, control plane."""

__version__ = "0.1.0"
