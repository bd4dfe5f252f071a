"""Read what a real board sends to its serial port."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BAUD = 115200


@contextmanager
def open_port(port: str) -> Iterator[Callable[[float], Iterator[str]]]:
    """Open a serial port before the board starts; yield its reader: seconds -> pieces of text.

    Without a port, without pyserial or where the port cannot be opened, the reader yields one line
    with the reason: a firmware that was written stays written.
    """
    if not port:
        yield _report("name the serial port with --port to see the board's output\n")
        return
    try:
        import serial
    except ImportError:
        yield _report("pyserial is not installed: pip install pyserial to see the board's output\n")
        return
    try:
        line = serial.Serial(port, BAUD, timeout=0.1)
    except serial.SerialException:
        yield _report(
            f"cannot open serial port {port}: check which ports exist, and name one with --port\n"
        )
        return
    with line:
        yield lambda seconds: _read(line, seconds)


def _report(text: str):
    return lambda _seconds: iter([text])


def _read(line, seconds: float) -> Iterator[str]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if content := line.read(256):
            yield content.decode("utf-8", errors="replace")
