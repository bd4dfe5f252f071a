"""A kernel for one sitting: replaced when it dies, forked behind cells that all have in common."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nbformat import NotebookNode

from medlab.files import OwnedFolder
from medlab.sandbox.checkpoints import kernel_folder
from medlab.sandbox.isolation import Isolation
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import CellResult, Limits, out_of_time
from medlab.sandbox.messages import recorded_outputs


class KernelSession:
    """A kernel that is replaced when it dies; what had run in it runs again in the next one.

    Its time begins when it is made, and nothing runs in it after limits.sitting_seconds.
    """

    def __init__(self, limits: Limits, isolation: Isolation):
        self.limits = limits
        self.kernel: Kernel | None = None
        self._isolation = isolation
        self._until = time.monotonic() + limits.sitting_seconds
        self._done: list[str] = []  # sources that ran and left the kernel alive
        self._folders: list[OwnedFolder] = []

    def go_on_behind(self, sources: Sequence[str]) -> list[list[NotebookNode]]:
        """Go on from the isolation's checkpoint if it ran the first of these cells.

        Returns the outputs of each cell that need not run. Without a checkpoint, or with one that
        ran other cells, there are none, and the kernel starts at the first cell.
        """
        start = self._isolation.start
        if start is None or tuple(sources[: len(start.cells)]) != start.cells:
            self._isolation = replace(self._isolation, start=None)
            return []
        return [recorded_outputs(messages, self.limits.output_bytes) for messages in start.shown]

    def run(self, source: str, seconds: float = math.inf) -> CellResult:
        """Run a cell; one that ends the kernel is left out when a fresh kernel catches up."""
        if self.over:
            return CellResult("timeout", error=out_of_time(self.limits))
        result = self.ready().run(source, seconds)
        if self.kernel.alive:
            self._done.append(source)
        return result

    @property
    def over(self) -> bool:
        """Whether the time of the whole sitting is up."""
        return time.monotonic() >= self._until

    def ready(self) -> Kernel:
        """Return a live kernel in which all earlier cells have run."""
        if self.kernel is None or not self.kernel.alive:
            self.close()
            self._folders.append(kernel_folder(self._isolation.start))
            folder = Path(self._folders[-1].name) / "seat"
            self.kernel = Kernel(folder, self.limits, self._isolation, self._until)
            self._done = [source for source in self._done if self._again(source)]
        return self.kernel

    def _again(self, source: str) -> bool:
        self.kernel.run(source)
        return self.kernel.alive

    def close(self) -> None:
        """End the kernel and remove its folders."""
        if self.kernel is not None:
            self.kernel.stop()
        while self._folders:
            self._folders.pop().cleanup()


@contextmanager
def open_session(limits: Limits, isolation: Isolation) -> Iterator[KernelSession]:
    """Give a session and clear it up."""
    session = KernelSession(limits, isolation)
    try:
        yield session
    finally:
        session.close()
