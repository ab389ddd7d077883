"""Errors that carry their verdict: what to answer on SIP, and the cause for metrics and records."""

from __future__ import annotations

from typing import ClassVar


class AcdError(Exception):
    """Root of every error that this service raises on purpose.

    `sip_status` is the final response that a call ends with when the error reaches it;
    `cause` is a short fixed word, safe as a metric label.
    """

    sip_status: ClassVar[int] = 500
    cause: ClassVar[str] = "internal"


class ConfigError(AcdError):
    """Something in acd.toml, the environment, the directory or a flow is wrong; says where and the fix."""

    cause = "config"


class NoCommonCodec(AcdError):
    """The peer offered no codec that we speak (RFC 3264 section 6)."""

    sip_status = 488
    cause = "no-common-codec"


class NoCommonCrypto(AcdError):
    """Encryption is wanted on one side and refused on the other, or no suite is common (RFC 4568)."""

    sip_status = 488
    cause = "no-common-crypto"


class BadSessionDescription(AcdError):
    """The peer's SDP cannot be used (RFC 8866)."""

    sip_status = 488
    cause = "bad-sdp"


class MediaUnavailable(AcdError):
    """No media port or no media worker is left."""

    sip_status = 503
    cause = "media-unavailable"
