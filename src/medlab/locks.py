"""Locks on files, between processes; where the system has none (Windows), nobody waits.

The system releases a lock when its file is closed and when its process ends, however it ends.
"""

try:
    import fcntl
except ImportError:
    fcntl = None

AVAILABLE = fcntl is not None


def wait_for(file: int) -> None:
    """Lock an open file, waiting for whoever has it."""
    if AVAILABLE:
        fcntl.flock(file, fcntl.LOCK_EX)


def take(file: int) -> bool:
    """Lock an open file, unless another has it; return whether it is ours now."""
    return _taken(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB))


def take_byte(file: int, place: int) -> bool:
    """Lock one byte of an open file, which may be far beyond its end, as take() does."""
    return _taken(lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place))


def release_byte(file: int, place: int) -> None:
    """Unlock a byte, so that another process can take it."""
    if AVAILABLE:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


def _taken(lock) -> bool:
    if not AVAILABLE:
        return True
    try:
        lock()
    except OSError:
        return False
    return True
