# SPDX-License-Identifier: BSD-2-Clause
"""Work on many blobs at once, of which only a few are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

CONNECTIONS = 8
"""Threads at a time, unless the user says otherwise."""


def in_parallel(
    work: Callable[[T], R], items: Iterable[T], threads: int, abandon: Callable[[], None]
) -> Generator[R, None, None]:
    """The results of `work`, in the order of `items`, of which few are taken ahead.

    At the first failure, of the caller too, the rest is dropped; `abandon` is called to have what
    is under way end soon.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        abandon()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
