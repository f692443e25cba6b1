"""Prefetching: results in order, bounded work, errors passed on. (Threads that end: test_batches.py.)"""

import threading
from operator import length_hint

import pytest

from headtohead.core.prefetch import prefetch


@pytest.mark.parametrize("threads", [0, 1, 2, 3])
def test_results_come_in_order_whichever_is_done_first(threads: int) -> None:
    done = [threading.Event() for _ in range(20)]

    def work(i: int) -> int:
        if threads > 1 and i % 2 == 0:
            assert done[i + 1].wait(60)  # every even item ends after the odd one that follows it
        done[i].set()
        return i * i

    assert list(prefetch(work, range(20), threads)) == [i * i for i in range(20)]
    assert list(prefetch(work, [], threads)) == []


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_at_most_two_items_per_thread_are_started_ahead(threads: int) -> None:
    items = iter(range(100))
    results = prefetch(lambda i: i, items, threads)
    for number in range(1, 11):
        next(results)
        assert number <= 100 - length_hint(items) <= number + 2 * threads  # an item is taken when its work is submitted
    results.close()


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_is_raised_where_its_result_would_have_come(threads: int) -> None:
    results = prefetch(lambda i: 1 // (2 - i), range(9), threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_work_is_done_in_threads_unless_there_are_none() -> None:
    caller = threading.current_thread().name
    assert caller not in set(prefetch(lambda _: threading.current_thread().name, range(8), 2))
    assert set(prefetch(lambda _: threading.current_thread().name, range(8), 0)) == {caller}
