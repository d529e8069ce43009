"""A lock of threads that a forked or spawned process gets anew."""

import os
import threading
from types import TracebackType
from weakref import WeakSet


class ThreadLock:
    """Between the threads of one process. A process that is forked while a thread holds it finds it free: that thread is
    not there, and would never give it back. Pickled, it is a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["ThreadLock"], tuple[()]]:
        return ThreadLock, ()


_locks: "WeakSet[ThreadLock]" = WeakSet()


def _renew() -> None:
    for lock in _locks:
        lock._lock = threading.Lock()


os.register_at_fork(after_in_child=_renew)
