"""Reaching anything over a network, or over a socket of another process."""

from tests.support.hostile import Attack

REACH = """
import os, socket

reached = []
def attempt(name, family, kind, address):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(0.3)
            one.connect(address)
            one.send(b"x")
        reached.append(name)
    except (OSError, ValueError, OverflowError):
        pass

for host in ("127.0.0.1", "0.0.0.0", "localhost", "10.0.0.1", "169.254.169.254", "1.1.1.1"):
    attempt(host, socket.AF_INET, socket.SOCK_STREAM, (host, @PORT@))
    attempt(host, socket.AF_INET, socket.SOCK_DGRAM, (host, 53))
attempt("v6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", @PORT@))
attempt("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\\0@FOLDER@")
attempt("path", socket.AF_UNIX, socket.SOCK_STREAM, "@SOCKET@")
attempt("vsock", 40, socket.SOCK_STREAM, (2, @PORT@))
for family, kind in ((17, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW), (38, 5)):
    try:
        socket.socket(family, kind)
        reached.append(str(family))
    except OSError:
        pass
try:
    reached.append(socket.gethostbyname("example.org"))
except OSError:
    pass

def mean(values): return 0

print("REACHED", reached)
"""
ATTACKS = {"network": Attack({"mean": REACH})}


def test_nothing_is_reached(graded):
    graded.holds("network", 2)
    assert "REACHED []" in graded.said("network")
