"""Run a solutions notebook once, in an empty folder, so that its outputs can be stored."""

import os
from pathlib import Path

from nbformat.notebooknode import NotebookNode
from traitlets.config import Config

from medlab.errors import BadInput
from medlab.files import folder_for_sockets

CELL_SECONDS = 600
# One thread for each notebook: two threads on two busy cores are slower than one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def execute(made: NotebookNode, slug: str) -> NotebookNode:
    """Execute all cells and return the notebook with outputs; raise BadInput if one fails."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    with folder_for_sockets() as folder:
        work = Path(folder, "work")
        work.mkdir()
        client = NotebookClient(
            made,
            config=_through_files(Path(folder)),
            kernel_name="python3",
            timeout=CELL_SECONDS,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(work)}},
        )
        try:
            client.execute(env=_environment())
        except CellExecutionError as error:
            raise BadInput(
                f"the solution of '{slug}' fails: {error.ename}: {error.evalue}"
            ) from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise BadInput(f"the solution of '{slug}' does not finish: {error}") from None
    made.metadata.language_info = {"name": "python"}
    return made


def _through_files(folder: Path) -> Config:
    """Let the kernel talk through sockets in a folder, where the system has such, not TCP."""
    if os.name != "posix":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "kernel")}})


def _environment() -> dict[str, str]:
    return {"MEDLAB_SCALE": "ci"} | os.environ | ONE_THREAD
