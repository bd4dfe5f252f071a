"""The unit's own network and training loop, on real pictures."""

import os
from pathlib import Path

import pytest

from medlab.course import find_course, load_syllabus, load_unit

REAL = os.environ.get("MEDLAB_REALDATA", "")
PLAIN = ("import copy", "def tensors(")  # the plain cells that the loop needs


def names_of_the_unit():
    """Return the names that the unit's imports, exercises and helpers define."""
    unit = load_unit(load_syllabus(find_course(Path(__file__).parent)).find("cnn-from-scratch"))
    names = {"SEED": 0}
    for cell in unit.cells:
        if cell.role == "exercise" or any(words in cell.source for words in PLAIN):
            exec(cell.source, names)
    return names


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_the_units_network_learns_from_real_pictures(record_property, capsys):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("sklearn.metrics")
    unit = names_of_the_unit()
    splits = unit["pneumonia_mnist"].read(Path(REAL, "cxr", "pneumoniamnist_open.npz"))
    images, labels = unit["tensors"](splits["train"])
    torch.manual_seed(0)
    net = unit["SmallCNN"](28)
    adam = torch.optim.AdamW(net.parameters(), lr=5e-4)
    order = torch.Generator().manual_seed(0)
    for _ in range(8):
        unit["train_epoch"](net, adam, images, labels, unit["bce_with_logits"], generator=order)
    test_images, test_labels = unit["tensors"](splits["test"])
    asked = unit["predict_logits"](net, test_images)
    auc = float(metrics.roc_auc_score(test_labels, asked))
    with torch.no_grad():  # the planted fault, on real pictures, normal ones first
        by_label = test_labels.argsort(stable=True)
        wrong = torch.cat([net.train()(batch) for batch in test_images[by_label].split(32)])
    auc_wrong = float(metrics.roc_auc_score(test_labels[by_label], wrong))
    record_property("auc", auc)
    with capsys.disabled():
        print(f"\nreal pictures, unofficial split: AUC {auc:.3f}, in train mode {auc_wrong:.3f}")
    assert auc >= 0.95
    assert auc_wrong < auc
