"""Work done ahead of its use, in threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetch(work: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """`work` of every item, in order, done by `threads` threads; with 0 of them in the caller's own, at need.

    At most two results a thread are under way or wait to be taken. What `work` raises is raised where its result
    is taken; an iterator that is closed lets work that has begun end, and begins no other.
    """
    if threads == 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
    pending: deque[Future[B]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
