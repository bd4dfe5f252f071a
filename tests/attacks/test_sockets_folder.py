"""The one folder that the grader and a kernel share: its sockets."""

from tests.support.hostile import Attack

TRY = """
import os, socket
from ipykernel.kernelapp import IPKernelApp

app = IPKernelApp.instance()
folder = os.path.dirname(app.abs_connection_file)
before, done = sorted(os.listdir(folder)), []
def attempt(what, *args):
    try:
        what(*args)
        done.append(what.__name__)
    except OSError:
        pass

attempt(open, folder + "/x", "w")
attempt(open, app.abs_connection_file, "a")
attempt(os.unlink, app.abs_connection_file)
attempt(os.rename, app.abs_connection_file, folder + "/y")
attempt(os.chmod, folder, 0o777)
attempt(os.symlink, "/etc/passwd", folder + "/z")
attempt(os.mkfifo, folder + "/fifo")
attempt(socket.socket(socket.AF_UNIX).bind, folder + "/own")
seats = os.listdir(os.path.dirname(os.path.dirname(os.path.dirname(folder))))

def mean(values): return 0

print("DID", done, sorted(os.listdir(folder)) == before, len(seats))
"""
ATTACKS = {"sockets": Attack({"mean": TRY})}


def test_the_folder_is_closed_and_no_other_seat_is_in_sight(graded):
    graded.holds("sockets", 2)
    assert "DID [] True 1" in graded.said("sockets")
