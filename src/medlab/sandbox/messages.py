"""What a kernel sends, read with bounds: a learner's process can send anything.

Of a message that is too large only what it answers is read; what is not a message is ignored.
"""

import contextlib
import json
from collections.abc import Iterator

import zmq
from jupyter_client.session import DELIM as DELIMITER
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from medlab.sandbox.limits import CellResult, Limits

# What a kernel may put into this process's memory. A channel on which a larger message comes is
# cut off, and so many messages of it, besides the one that is coming in, wait to be read.
LARGEST_OUTPUT = 50_000_000  # bytes
WAITING = 2
READ_OUTPUT = 8  # a message of more than so many times the outputs that are kept is not unpacked
LARGEST_HEADER = 10_000  # bytes of one that is read of a message that is too large


class Inbox:
    """The two channels of a kernel's client that are used, each with a bound on what comes in."""

    def __init__(self, client, limits: Limits):
        """Connect the channels.

        A socket takes its options from the context when it is made.
        """
        self._client, self._limits = client, limits
        client.context.RCVHWM = WAITING
        client.context.MAXMSGSIZE = LARGEST_OUTPUT
        client.iopub_channel.start()  # first, so that it hears what the first request sets off
        client.context.MAXMSGSIZE = _largest_reply(limits)
        client.shell_channel.start()

    def arrived(self, seconds: float) -> Iterator[dict]:
        """Yield what has arrived on the shell and iopub channels, waiting at most so long."""
        channels = (self._client.shell_channel, self._client.iopub_channel)
        poller = _poller(channels)
        for socket, _ in poller.poll(seconds * 1000):
            channel = next(c for c in channels if c.socket is socket)
            # The learner's process can send anything: what is not a message counts as silence.
            with contextlib.suppress(Exception):
                message = self._read(channel)
                if _is_sound(message):
                    yield message

    def _read(self, channel) -> dict:
        """Return the next message; of one that is too large only what it answers."""
        frames = channel.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        is_reply = channel is self._client.shell_channel
        kept = _largest_reply(self._limits) if is_reply else READ_OUTPUT * self._limits.output_bytes
        if sum(map(len, frames)) > kept:
            return _in_place_of(frames, is_reply, self._limits)
        _, parts = self._client.session.feed_identities([frame.bytes for frame in frames])
        return self._client.session.deserialize(parts)


def recorded_outputs(messages: list[dict], limit: int) -> list[NotebookNode]:
    """Return the outputs that a cell's recorded messages stand for, up to a size in bytes."""
    result = CellResult("ok")
    collector = OutputCollector(result, limit)
    for message in messages:
        collector.take(message)
    return result.outputs


class OutputCollector:
    """The outputs of one cell, up to a size."""

    def __init__(self, ran: CellResult | None, limit: int):
        self.idle = False
        self._ran = ran
        self._left = limit

    def take(self, message: dict) -> None:
        """Keep an output, or note that the kernel is idle."""
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self.idle = content.get("execution_state") == "idle"
        elif self._ran is None or self._left <= 0:
            return
        elif kind == TOO_LARGE:
            self._left = 0
            self._ran.outputs.append(_cut())
        elif kind in OUTPUTS:
            self._left -= len(str(content))
            self._add(message)

    def _add(self, message: dict) -> None:
        outputs = self._ran.outputs
        try:
            output = output_from_msg(message)
        except Exception:
            return  # forged: no kernel of Jupyter's sends such an output
        if self._left <= 0:
            output = _cut()
        if output.output_type == "stream" and outputs and _same_stream(outputs[-1], output):
            outputs[-1].text += output.text
        else:
            outputs.append(output)


OUTPUTS = {"stream", "display_data", "execute_result", "error"}
TOO_LARGE = "too large"  # in place of a message that was not unpacked


def _cut() -> NotebookNode:
    return NotebookNode(output_type="stream", name="stderr", text="[output cut here]\n")


def _largest_reply(limits: Limits) -> int:
    return 2 * limits.answer_bytes + 1_000_000  # quotes inside an answer are escaped


def _in_place_of(frames: list, is_reply: bool, limits: Limits) -> dict:
    """Return a small message in place of a large one, to the same request."""
    parts = [frame.buffer for frame in frames]
    start = next(at for at, part in enumerate(parts) if part == DELIMITER)
    parent = json.loads(bytes(parts[start + 3][:LARGEST_HEADER]))
    kind = "execute_reply" if is_reply else TOO_LARGE
    content = {"status": "error", "ename": "ValueError", "evalue": too_large(limits)}
    return {"header": {}, "parent_header": parent, "content": content, "msg_type": kind}


def too_large(limits: Limits) -> str:
    return f"the answer is larger than {limits.answer_bytes / 1e6:g} MB"


def _is_sound(message: dict) -> bool:
    """Tell whether a message, which a learner's process may have forged, has the parts it needs."""
    mappings = (message["header"], message["parent_header"], message["content"])
    return all(isinstance(part, dict) for part in mappings) and isinstance(message["msg_type"], str)


def _same_stream(before: NotebookNode, output: NotebookNode) -> bool:
    return before.output_type == "stream" and before.name == output.name


def _poller(channels) -> zmq.Poller:
    poller = zmq.Poller()
    for channel in channels:
        poller.register(channel.socket, zmq.POLLIN)
    return poller
