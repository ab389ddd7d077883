"""What the phones tell: one JSON object a line on standard output, for the demo to count."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TextIO


class Report:
    """Writes events from any thread: at (seconds since the epoch), event, user, and what belongs to it."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._lock = threading.Lock()

    def __call__(self, event: str, user: str, **more: object) -> None:
        line = json.dumps({"at": round(time.time(), 3), "event": event, "user": user, **more})
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()
