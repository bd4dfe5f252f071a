"""A narrow ResNet-18 for chest radiographs, with weights that the course pretrained itself."""

import hashlib
import io
from pathlib import Path

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from medlab.errors import BadInput

WIDTH = 16  # torchvision's ResNet-18 has 64
WEIGHTS = Path(__file__).parent / "weights" / "chest_resnet18.pt"
SHA256 = "5b084d7f868c4c01a9e6d849cc340267d2c4915eca2a8c149930151c324b5617"


class NarrowResNet18(nn.Module):
    """torchvision's ResNet-18 with a quarter of the width, one input channel and one output.

    Modules have torchvision's names, so that code which freezes, replaces or hooks them serves
    both. Input (images, 1, rows, columns), 0 to 1, dense tissue bright; output (images, 1) logits.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTH, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(WIDTH, WIDTH, stride=1)
        self.layer2 = _stage(WIDTH, 2 * WIDTH, stride=2)
        self.layer3 = _stage(2 * WIDTH, 4 * WIDTH, stride=2)
        self.layer4 = _stage(4 * WIDTH, 8 * WIDTH, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * WIDTH, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one logit for each image."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return two basic blocks, the first of which may halve the image."""
    shortcut = None
    if stride != 1 or inputs != outputs:
        convolution = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs)
    )


def chest_resnet18(pretrained: bool = True) -> NarrowResNet18:
    """Return the narrow ResNet-18, with the course's weights or random ones.

    The weights come from generated radiographs with other findings, never pneumonia
    (tools/pretrain_chest_xray.py); the last layer, fc, is random in both cases.
    Raises BadInput when the weights file is not the one that was shipped.
    """
    net = NarrowResNet18()
    if pretrained:
        last = {f"fc.{name}": value for name, value in net.fc.state_dict().items()}
        net.load_state_dict({**_shipped_weights(), **last})
    return net


def _shipped_weights() -> dict[str, torch.Tensor]:
    """Return the shipped weights as float32, after a check of the SHA-256 of the file."""
    content = WEIGHTS.read_bytes() if WEIGHTS.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise BadInput(
            f"{WEIGHTS} is not the file that medlab ships: reinstall medlab, or make it with "
            "tools/pretrain_chest_xray.py"
        )
    halves = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in halves.items()
    }
