"""Replies and outputs that the learner's process forges on the way to the grader."""

import pytest
from tests.support.hostile import Attack

SEND = """
import jupyter_client.session as s
send = s.Session.send
def forged(self, stream, msg_or_type, content=None, *args, **kwargs):
    kind = msg_or_type if isinstance(msg_or_type, str) else msg_or_type.get("msg_type")
    CHANGE
    return send(self, stream, msg_or_type, content, *args, **kwargs)
s.Session.send = forged
def mean(values): return 0
"""
CHANGES = {
    "no-status": "content = {} if kind == 'execute_reply' else content",
    "list": "content = [1] if kind == 'execute_reply' else content",
    "passed": "content = {'status': 'ok', 'user_expressions': {'answer': 'passed'}}",
    "odd-expressions": "content = {'status': 'ok', 'user_expressions': [3]}",
    "odd-name": "kind == 'status' and send(self, stream, 'stream', {'name': 3}, *args, **kwargs)",
    "odd-data": (
        "kind == 'status' and send(self, stream, 'display_data', "
        "{'data': {'text/html': {'a': 1}}, 'metadata': 3}, *args, **kwargs)"
    ),
}
GARBAGE = """
import threading, time

def shout():
    from ipykernel.kernelapp import IPKernelApp
    app = IPKernelApp.instance()
    while True:
        time.sleep(0.05)
        try:
            app.kernel.iopub_socket.send_multipart([b"x"] * 7)
        except Exception:
            pass

threading.Thread(target=shout, daemon=True).start()
def mean(values): return 0
"""
ATTACKS = {
    f"forged-{name}": Attack({"mean": SEND.replace("CHANGE", change)})
    for name, change in CHANGES.items()
} | {"forged-garbage": Attack({"mean": GARBAGE})}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_forged_costs_at_most_its_own_exercise(graded, name):
    assert graded.holds(name, 2)["status"] == "graded"
