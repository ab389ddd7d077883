"""How a leg sounded, guessed from loss and jitter."""

from __future__ import annotations

_PACKETISATION_SECONDS = 0.020
_NO_IMPAIRMENT = 93.2
_LOSS_ROBUSTNESS = 4.3
"""Bpl of G.711 without concealment (ITU-T G.113 appendix I)."""


def estimate_mos(lost: int, received: int, jitter_seconds: float) -> float:
    """Mean opinion score, 1.0-4.4, of what `rate` says."""
    rating = rate(lost, received, jitter_seconds)
    return max(1.0, 1.0 + 0.035 * rating + 7e-6 * rating * (rating - 60.0) * (100.0 - rating))


def rate(lost: int, received: int, jitter_seconds: float) -> float:
    """The rating R, 0-93.2, by the E-model (ITU-T G.107) for G.711.

    The network's own delay is unknown here, so only the delay that the far end's jitter buffer
    must add is charged; a leg that received nothing has the lowest score.
    """
    if received <= 0:
        return 0.0
    loss_percent = 100.0 * max(lost, 0) / (received + max(lost, 0))
    loss = 95.0 * loss_percent / (loss_percent + _LOSS_ROBUSTNESS)
    delay_ms = 1000.0 * (_PACKETISATION_SECONDS + 2.0 * max(jitter_seconds, 0.0))
    delay = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)
    return min(max(_NO_IMPAIRMENT - delay - loss, 0.0), 100.0)
