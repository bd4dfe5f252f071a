"""Networks are trained where the scale says."""

import pytest
import torch

from medlab.models.device import training_device


@pytest.fixture
def accelerator(monkeypatch):
    """Let this machine have one, or none."""

    def having(name):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: name is not None)
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda: torch.device(name) if name else None
        )

    return having


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_at_the_scale_gpu_networks_are_trained_on_the_accelerator(name, accelerator, monkeypatch):
    accelerator(name)
    monkeypatch.setenv("MEDLAB_SCALE", "gpu")
    assert training_device() == torch.device(name)


def test_at_the_scale_gpu_a_machine_without_an_accelerator_trains_on_its_cpu(
    accelerator, monkeypatch
):
    accelerator(None)
    monkeypatch.setenv("MEDLAB_SCALE", "gpu")
    assert training_device() == torch.device("cpu")


@pytest.mark.parametrize("scale", ["ci", "laptop"])
def test_smaller_scales_stay_on_the_cpu(scale, accelerator, monkeypatch):
    accelerator("cuda")
    monkeypatch.setenv("MEDLAB_SCALE", scale)
    assert training_device() == torch.device("cpu")
