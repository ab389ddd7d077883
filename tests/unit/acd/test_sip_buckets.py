"""Token buckets by source."""

from __future__ import annotations

from acd.sip.buckets import TokenBuckets


def test_burst_then_rate() -> None:
    buckets = TokenBuckets(rate=2, burst=3)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.seconds_to_token("a", 0.0) == 0.5
    assert not buckets.take("a", 0.4)
    assert buckets.take("a", 0.6)


def test_sources_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(rate=1, burst=1)
    assert buckets.take("a", 0.0)
    assert buckets.is_empty("a", 0.0)
    assert buckets.take("b", 0.0)


def test_bucket_never_holds_more_than_its_burst() -> None:
    buckets = TokenBuckets(rate=1, burst=2)
    buckets.take("a", 0.0)
    buckets.give_back("a", 0.0, 5)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("a", 1000.0) for _ in range(3)] == [True, True, False]


def test_number_of_buckets_is_bounded_and_the_busiest_stay() -> None:
    buckets = TokenBuckets(rate=1, burst=1, sources=10)
    for number in range(1000):
        buckets.take("busy", 0.0)
        buckets.take(f"forged-{number}", 0.0)
    assert len(buckets) == 10
    assert buckets.is_empty("busy", 0.0)
