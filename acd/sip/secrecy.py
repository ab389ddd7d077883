"""Whether a leg's audio is encrypted: what is configured, and what its signalling can keep secret."""

from __future__ import annotations

from acd.directory.model import Srtp

_ENCRYPTED = frozenset(("tls", "wss"))


def srtp_over(wanted: Srtp, transport: str, *, without_tls: bool) -> Srtp | None:
    """What holds on a flow of this transport; None where the call cannot be as secret as it must be.

    Keys stand in the SDP (RFC 4568 section 7): over plain SIP they protect nothing, unless the operator says
    that the network below does.
    """
    if wanted == "off" or transport in _ENCRYPTED or without_tls:
        return wanted
    return None if wanted == "require" else "off"
