"""What encrypts a leg: SRTP and SRTCP contexts for both ways (RFC 3711), made from negotiated keys."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from acd.media.crypto import Suite

_PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
_WINDOW = 1024
"""Packets that may overtake each other before one is taken for a replay (RFC 3711 section 3.3.2)."""

Key = tuple[str, bytes]
"""Suite and master key with salt."""


class Shield:
    """Both contexts of one leg. A context goes on, its rollover counter with it, while its key stays."""

    __slots__ = ("_inbound", "_keys", "_outbound")

    def __init__(self, suite: str, send: bytes, receive: bytes) -> None:
        self._keys: tuple[Key, Key] = ((suite, send), (suite, receive))
        self._outbound = _context(self._keys[0], Policy.SSRC_ANY_OUTBOUND)
        self._inbound = _context(self._keys[1], Policy.SSRC_ANY_INBOUND)

    def change(self, suite: str, send: bytes, receive: bytes) -> None:
        """Take renewed keys; the same ones change nothing."""
        outbound, inbound = (suite, send), (suite, receive)
        if outbound != self._keys[0]:
            self._outbound = _context(outbound, Policy.SSRC_ANY_OUTBOUND)
        if inbound != self._keys[1]:
            self._inbound = _context(inbound, Policy.SSRC_ANY_INBOUND)
        self._keys = outbound, inbound

    def protect(self, packet: bytes) -> bytes:
        """The packet as it may be sent; empty for one that is too old to be (section 3.3.1)."""
        try:
            return bytes(self._outbound.protect(packet))
        except (Error, ValueError):
            return b""

    def protect_control(self, packet: bytes) -> bytes:
        """The same for RTCP."""
        try:
            return bytes(self._outbound.protect_rtcp(packet))
        except (Error, ValueError):
            return b""

    def open(self, packet: bytes) -> bytes:
        """The packet inside; empty for one that is forged, broken or repeated."""
        try:
            return bytes(self._inbound.unprotect(packet))
        except (Error, ValueError):
            return b""

    def open_control(self, packet: bytes) -> bytes:
        """The same for RTCP."""
        try:
            return bytes(self._inbound.unprotect_rtcp(packet))
        except (Error, ValueError):
            return b""


def _context(key: Key, direction: int) -> Session:
    suite, secret = key
    policy = Policy(key=secret, ssrc_type=direction, srtp_profile=_PROFILES[Suite(suite)])
    policy.window_size = _WINDOW
    return Session(policy)
