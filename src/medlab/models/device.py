"""Where networks are trained."""

import torch

from medlab.scale import scale


def training_device() -> torch.device:
    """Return this machine's accelerator at the scale `gpu`, if it has one; else the CPU.

    The smaller scales stay on the CPU, so that their figures are the same with and without a GPU.
    """
    if scale() == "gpu" and torch.accelerator.is_available():
        return torch.accelerator.current_accelerator()
    return torch.device("cpu")
