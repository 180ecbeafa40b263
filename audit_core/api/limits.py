"""Limits of requests: how many in a period, how large, and how long a body may take."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from audit_core.verifier.container import MAX_PACK_BYTES

MAX_JSON_BYTES = 6 << 20
"""A prompt file may have 4 MB, more once it is quoted in JSON."""
MAX_UPLOAD_BYTES = MAX_PACK_BYTES + (1 << 20)
"""A pack, with policy and trust file beside it."""
BODY_S = 120.0
"""Maximum seconds for the body of a request to arrive."""
UPLOADS = 2
"""Uploads that are read and checked at the same time; each may take four times its size in memory."""
REQUESTS_A_MINUTE = 240
"""Requests of one token."""
REFUSALS_A_MINUTE = 20
"""Refused actions of one token, each of which is an event of the log; beyond that, requests are refused without one."""
FAILURES_A_MINUTE = 30
"""Requests of one address without a valid token."""
_KEPT = 10_000


class RateLimit:
    """A bucket for each caller: full at the start, refilled evenly, and at most `_KEPT` callers are remembered."""

    def __init__(self, a_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(a_minute), clock
        self._rate = a_minute / 60.0
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, who: str, *, take: bool = True) -> float:
        """Seconds until the caller may go on; 0 if now.

        Args:
            take: count this call; otherwise only look.
        """
        with self._lock:
            now = self._clock()
            left, at = self._left.pop(who, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            is_free = left >= 1.0
            self._left[who] = (left - 1.0 if is_free and take else left, now)
            while len(self._left) > _KEPT:
                self._left.popitem(last=False)
            return 0.0 if is_free else (1.0 - left) / self._rate
