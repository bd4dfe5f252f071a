import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from medlab.datasets.chest_xray import patients

TOOL = Path(__file__).parents[2] / "tools" / "pretrain_chest_xray.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("pretrain_chest_xray", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_pneumonia_is_drawn_for_pretraining(tool, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a consolidation was drawn")

    monkeypatch.setattr(patients, "draw_consolidation", refuse)
    for index in range(10):
        tool.draw(index)
    assert not any("pneumonia" in finding for finding in tool.FINDINGS)


def test_the_nodule_map_is_empty_without_a_nodule_and_marks_one_with(tool):
    for index in range(12):
        image, findings, where = tool.draw(index)
        assert image.shape == where.shape == (tool.SIZE, tool.SIZE)
        assert (where.max() > 0.5) == findings[tool.FINDINGS.index("nodule")]


def test_every_weight_gets_a_finite_gradient(tool):
    drawn = [tool.draw(index) for index in range(4)]
    images = torch.from_numpy(np.stack([one[0] for one in drawn])).float()[:, None] / 255
    labels = torch.from_numpy(np.stack([one[1] for one in drawn])).float()
    maps = torch.from_numpy(np.stack([one[2] for one in drawn]))[:, None]
    net = tool.Pretext()
    loss = tool.loss_of(net, images, labels, maps)
    loss.backward()
    grads = [p.grad for p in net.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_saved_weights_are_halves_without_the_last_layer(tool, tmp_path):
    tool.save(tool.Pretext(), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert not [name for name in state if name.startswith("fc.")]
    floating = [value for value in state.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float16 for value in floating)
