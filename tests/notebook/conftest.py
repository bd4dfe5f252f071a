"""A real IPython shell, as a learner's notebook has it."""

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


class Notebook:
    """A real IPython shell with medlab loaded, that answers with the text a cell shows."""

    def __init__(self, shell):
        self.shell = shell
        self.run("%load_ext medlab")

    def run(self, cell: str) -> str:
        with capture_output() as shown:
            self.result = self.shell.run_cell(cell, store_history=True)
        self.outputs = shown.outputs
        texts = [output.data.get("text/plain", "") for output in shown.outputs]
        text = "\n".join(filter(None, [shown.stdout, *texts])).strip()
        return re.sub(r"(?m)^Out\[\d+\]: ", "", text)

    def html(self) -> str:
        return "".join(output.data.get("text/html", "") for output in self.outputs)


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A fresh shell per test, with no history file and no settings of the person who tests."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.display_formatter.active_types = shell.display_formatter.format_types
    yield Notebook(shell)
    InteractiveShell.clear_instance()
