"""The interactive shell of a kernel without the kernel: it runs cells and records what they show.

The shell is made once for a process; a kernel that starts in a fork of it goes on with it.
"""

import sys

from ipykernel.compiler import XCachingCompiler
from ipykernel.zmqshell import ZMQInteractiveShell
from jupyter_client.session import Session
from traitlets.config import Config

_streams: list["RecordedStream"] = []


class Recorder(Session):
    """Keep the messages that a shell sends, in place of sending them."""

    def __init__(self):
        super().__init__(key=b"")
        self.messages: list[dict] = []

    def send(self, stream, msg_or_type, content=None, parent=None, ident=None, **_) -> dict:
        """Keep a message, whole or given as its type and content."""
        made = msg_or_type
        if not isinstance(made, dict):
            made = self.msg(made, content, parent)
        self.messages.append(_message(made["msg_type"], made["content"]))
        return made


class RecordedStream:
    """Standard output or error: recorded here, and handed on once a kernel has its own."""

    encoding, errors = "utf-8", "strict"

    def __init__(self, name: str, recorder: Recorder):
        self.name, self._recorder = name, recorder

    def write(self, text: str) -> int:
        current = getattr(sys, self.name)
        if current is not self:  # something kept this stream from before the kernel was there
            return current.write(text)
        messages = self._recorder.messages
        if messages and messages[-1]["content"].get("name") == self.name:
            messages[-1]["content"]["text"] += text
        else:
            messages.append(_message("stream", {"name": self.name, "text": text}))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Have nothing to flush."""

    def isatty(self) -> bool:
        return False


def _message(kind: str, content: dict) -> dict:
    return {"header": {"msg_type": kind}, "msg_type": kind, "content": content}


def run(cell: str) -> tuple[list[dict], str]:
    """Run a cell; return the messages that it displayed and, in one line, what it raised."""
    shell = _shell()
    recorder = shell.displayhook.session
    recorder.messages = []
    own = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _streams
    try:
        done = shell.run_cell(cell, store_history=True)
    finally:
        sys.stdout, sys.stderr = own
    error = done.error_in_exec or done.error_before_exec
    return recorder.messages, f"{type(error).__name__}: {error}" if error else ""


def attach(application) -> None:
    """Tell a shell that ran cells before about the kernel that it has now."""
    if _streams:
        shell = application.kernel.shell
        shell.kernel = shell.parent = application.kernel
        shell.update_config(application.config)


def has_run() -> bool:
    """Tell whether cells ran in this process, or in one that it was forked from."""
    return bool(_streams)


def _shell() -> ZMQInteractiveShell:
    if not _streams:
        config = Config()
        config.HistoryManager.enabled = False  # it would start a thread
        config.IPKernelApp.parent_handle = 0  # libraries look for this name
        shell = ZMQInteractiveShell.instance(config=config, compiler_class=XCachingCompiler)
        recorder = Recorder()
        shell.displayhook.session = shell.display_pub.session = recorder
        _streams.extend(RecordedStream(name, recorder) for name in ("stdout", "stderr"))
    return ZMQInteractiveShell.instance()
