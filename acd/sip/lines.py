"""Which of several trunks at one address a request is for: each registers with a Contact of its own.

Providers send a call to the Contact that was registered (RFC 3261 section 16.6), so that its Request-URI says
which registration it came by. Some put the number that was dialled for the user, others leave out parameters
that they do not know; hence both are looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from acd.directory.model import Trunk
from acd.sip.core.uri import Uri

PARAM = "line"


def line_of(trunk: Trunk) -> str:
    """What the Contact of a trunk carries beside the user; the same on each node and after a restart."""
    return hashlib.blake2b(trunk.name.encode(), digest_size=6).hexdigest()


def meant(trunks: Sequence[Trunk], uri: Uri) -> Trunk | None:
    """The one of these trunks whose Contact a Request-URI is; None where it is nobody's."""
    registered = [trunk for trunk in trunks if trunk.register_seconds]
    line = uri.param(PARAM)
    by_line = next((trunk for trunk in registered if line == line_of(trunk)), None)
    return by_line or next((trunk for trunk in registered if uri.user == trunk.username), None)
