"""Work that threads do before its results are needed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetch(work: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """Yield `work(item)` for every item, in order, computed ahead by `threads` threads (0: on demand by the caller).

    At most two results per thread are in progress or waiting. An exception of `work` is raised where its result is
    taken. When the iterator is closed, running work finishes and no new work starts.
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
