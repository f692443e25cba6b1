"""Work done ahead: in order, bounded, errors carried over. (What becomes of the threads: test_batches.py.)"""

import threading
import time

import pytest

from headtohead.core.prefetch import prefetch


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_whichever_is_done_first(threads: int) -> None:
    def work(i: int) -> int:
        time.sleep(0.001 * (i % 3))
        return i * i

    assert list(prefetch(work, range(20), threads)) == [i * i for i in range(20)]
    assert list(prefetch(work, [], threads)) == []


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_no_more_is_begun_than_two_a_thread_beyond_what_is_taken(threads: int) -> None:
    begun = 0

    def work(i: int) -> int:
        nonlocal begun
        begun += 1
        return i

    taken = prefetch(work, range(100), threads)
    for number in range(1, 11):
        next(taken)
        time.sleep(0.005)  # time enough to run too far
        assert number <= begun <= number + 2 * threads
    taken.close()


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_where_its_result_would_have(threads: int) -> None:
    taken = prefetch(lambda i: 1 // (2 - i), range(9), threads)
    assert [next(taken), next(taken)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(taken)


def test_it_is_the_threads_that_work() -> None:
    names = set(prefetch(lambda _: threading.current_thread().name, range(8), 2))
    assert threading.current_thread().name not in names
    assert set(prefetch(lambda _: threading.current_thread().name, range(8), 0)) == {threading.current_thread().name}
