"""Metadata that name another kernel, another language, parameters or another engine."""

from tests.support.hostile import FULL, Attack

EVIL = ["/bin/sh", "-c", "touch @FOLDER@/other/@MARK@"]


def evil(notebook):
    spec = {"name": "../../evil", "argv": EVIL, "language": "bash", "display_name": "x"}
    provisioner = {"provisioner_name": "local-provisioner", "config": {"cmd": EVIL}}
    notebook["metadata"] |= {
        "kernelspec": spec | {"metadata": {"kernel_provisioner": provisioner}},
        "language_info": {"name": "bash", "version": None},
        "papermill": {"parameters": {"SEED": "__import__('os').system('id')"}, "engine": "x"},
        "jupytext": {"formats": "ipynb,py:percent"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}}},
    }
    return notebook


ATTACKS = {"kernelspec": Attack(edit=evil)}


def test_metadata_are_not_believed(graded):
    graded.holds("kernelspec", FULL)
