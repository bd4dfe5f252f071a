"""Checkpoints as their users see them: started, kept while they are needed, ended.

A checkpoint is a process that has run some cells; kernels forked from it go on from there. What it
is from within is in `checkpoint`.
"""

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from medlab.files import OwnedFolder, folder_for_sockets
from medlab.sandbox.fork_client import Conversation, ForkError, ForkServerGone

SECONDS = 300  # for the cells of one checkpoint
MOST = 4  # kept at a time: each has the memory of what its cells made


@dataclass(frozen=True)
class Start:
    """Where kernels that go on behind some cells are forked."""

    address: str
    shared: str  # the folder in which such a kernel's own folder must be
    cells: tuple[str, ...]  # the sources that have run
    shown: tuple[list[dict], ...]  # the messages that each displayed


class Checkpoint:
    """One checkpoint; those that were extended from it end with it, its kernels do not."""

    _numbers = itertools.count()

    def __init__(
        self,
        address: str,
        request: dict,
        cells: tuple[str, ...],
        earlier: "Checkpoint | None" = None,
    ):
        """Run cells behind those of an earlier checkpoint, or in a new process of a fork server.

        request: work, environment, allowance and readable, as for a kernel. Raises ForkError where
        the cells fail or leave a process that cannot be forked.
        """
        self._folder = earlier._folder if earlier else folder_for_sockets()
        shared = Path(self._folder.name, "shared")
        root = Path(self._folder.name, "root")
        for folder in (shared, root):
            folder.mkdir(exist_ok=True)
        own = str(shared / f"checkpoint-{next(self._numbers)}")
        asked = request | {
            "do": "checkpoint",
            "address": own,
            "shared": str(shared),
            "root": str(root),
            "cells": list(cells),
            "seconds": SECONDS,
        }
        self._request = request
        self._process = Conversation(address, asked)
        ready = self._process.until_ready(SECONDS + 5)
        before = earlier.start if earlier else Start("", "", (), ())
        shown = (*before.shown, *ready["shown"])
        self.start = Start(own, str(shared), (*before.cells, *cells), shown)

    @property
    def alive(self) -> bool:
        return self._process.next(0) is None

    def extended(self, cells: tuple[str, ...]) -> "Checkpoint":
        """Return a checkpoint that has run more cells."""
        return Checkpoint(self.start.address, self._request, cells, earlier=self)

    def close(self) -> None:
        """Let go of the process; kernels that were forked from it go on."""
        self._process.close()


class Checkpoints:
    """The checkpoints of this process: by fork server and cells, the least used one goes first."""

    def __init__(self):
        self._kept: OrderedDict[tuple, Checkpoint] = OrderedDict()
        self._unfit: dict[tuple, ForkError] = {}  # not tried again for each kernel
        self._lock = threading.Lock()

    def start(self, address: str, request: dict, cells: tuple[str, ...]) -> Start:
        """Return where to fork kernels that have run these cells; raise ForkError if none can."""
        key = (address, cells, repr(request))
        with self._lock:
            if key in self._unfit:
                raise self._unfit[key]
            found = self._kept.pop(key, None)
            if found is None or not found.alive:
                found = self._make(key, address, request, cells)
            self._kept[key] = found
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)[1].close()
            return found.start

    def _make(self, key: tuple, address: str, request: dict, cells: tuple[str, ...]) -> Checkpoint:
        try:
            return Checkpoint(address, request, cells)
        except ForkServerGone:
            raise
        except ForkError as error:
            self._unfit[key] = error
            raise

    def stop(self) -> None:
        with self._lock:
            while self._kept:
                self._kept.popitem()[1].close()


def kernel_folder(start: Start | None) -> OwnedFolder:
    """Make the folder of a kernel: one with a short path, in sight of the checkpoint it is from."""
    return OwnedFolder(start.shared) if start else folder_for_sockets()
