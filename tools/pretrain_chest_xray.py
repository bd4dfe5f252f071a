"""Pretrain the chest X-ray backbone on generated radiographs with findings other than pneumonia.

    OMP_NUM_THREADS=1 python tools/pretrain_chest_xray.py

Writes src/medlab/models/weights/chest_resnet18.pt (float16) and puts its SHA-256 into
src/medlab/models/backbones.py. About 80 s of one core.

The network learns five findings from a label per image, and where nodules are from a coarse map
(the dense loss). With image labels alone it never learns nodules, and its features do not help.
"""

import hashlib
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from medlab.datasets.chest_xray import patients, scanner, thorax
from medlab.models import backbones

SEED = 2026
IMAGES, SIZE, EPOCHS, BATCH = 6000, 96, 7, 64
FINDINGS = ("effusion", "lucency", "large heart", "device", "nodule")
DENSE_WEIGHT = 8.0


def draw(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one radiograph (uint8), its findings (0 or 1), and its nodules' map (96 x 96)."""
    rng = np.random.default_rng([SEED, index])
    patient, pose = patients.draw_patient(rng), patients.draw_pose(rng)
    has = rng.random(len(FINDINGS)) < np.array([0.3, 0.3, 0.3, 0.0, 0.6])
    extra = patients.draw_devices(rng)
    has[3] = bool(extra.lines or extra.discs)
    side = int(rng.integers(2))
    extra.effusion[side] = rng.uniform(0.2, 0.5) * has[0]
    extra.lucent[1 - side] = rng.uniform(0.6, 1.4) * has[1]
    extra.heart_scale = rng.uniform(1.2, 1.4) if has[2] else 1.0
    count = int(rng.integers(1, 5)) if has[4] else 0
    nodules = [patients.draw_nodule(rng, patient) for _ in range(count)]
    attenuation, fields = thorax.attenuation(patient, pose, nodules, extra, SIZE)
    device = scanner.SCANNERS["ABC"[int(rng.integers(3))]]
    image = scanner.grey(scanner.expose(attenuation, device, rng))
    where = fields.max(axis=0) if count else np.zeros((SIZE, SIZE), np.float32)
    return image, has, where


def pretext() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images (n, 1, 96, 96), findings (n, 5) and nodule maps (n, 1, 24, 24)."""
    drawn = [draw(index) for index in range(IMAGES)]
    images = torch.from_numpy(np.stack([one[0] for one in drawn])).float().div(255)[:, None]
    labels = torch.from_numpy(np.stack([one[1] for one in drawn])).float()
    maps = torch.from_numpy(np.stack([one[2] for one in drawn]))[:, None]
    return images, labels, F.max_pool2d(maps, 4)


class Pretext(nn.Module):
    """The backbone with a head for findings and two for the nodules' place."""

    def __init__(self):
        super().__init__()
        self.body = backbones.chest_resnet18(pretrained=False)
        self.body.fc = nn.Linear(8 * backbones.WIDTH, len(FINDINGS))
        self.where2 = nn.Conv2d(2 * backbones.WIDTH, 1, 1)
        self.where3 = nn.Conv2d(4 * backbones.WIDTH, 1, 1)

    def forward(self, x):
        """Return logits of findings (n, 5), and of nodules at 12 x 12 and 6 x 6."""
        body = self.body
        x = body.layer1(body.maxpool(body.relu(body.bn1(body.conv1(x)))))
        two = body.layer2(x)
        three = body.layer3(two)
        found = body.fc(torch.flatten(body.avgpool(body.layer4(three)), 1))
        return found, self.where2(two), self.where3(three)


def loss_of(net: Pretext, images, labels, maps) -> torch.Tensor:
    """Return cross-entropy of findings plus that of the nodules' maps."""
    found, at2, at3 = net(images)
    loss = F.binary_cross_entropy_with_logits(found, labels)
    for logits in (at2, at3):
        wanted = F.adaptive_max_pool2d(maps, logits.shape[-2:])
        dense = F.binary_cross_entropy_with_logits(logits, wanted, pos_weight=torch.tensor(8.0))
        loss = loss + DENSE_WEIGHT / 2 * dense
    return loss


def train(images, labels, maps) -> Pretext:
    """Train for a fixed number of steps, with images shifted at random."""
    torch.manual_seed(SEED)
    net = Pretext().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _epoch in range(EPOCHS):
        for batch in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            x = images[batch].to(memory_format=torch.channels_last)
            x = (
                x * (0.9 + 0.2 * torch.rand(BATCH, 1, 1, 1))
                + 0.1 * torch.rand(BATCH, 1, 1, 1)
                - 0.05
            )
            loss = loss_of(net, x, labels[batch], maps[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def report(net: Pretext, images, labels) -> None:
    """Print the AUC of each finding, on images that were not trained on."""
    from sklearn.metrics import roc_auc_score

    found = net(images)[0].numpy()
    for index, name in enumerate(FINDINGS):
        print(f"  {name:12s} AUC {roc_auc_score(labels[:, index], found[:, index]):.3f}")


def save(net: Pretext, target: Path) -> str:
    """Write the backbone without its last layer as float16; return the file's SHA-256."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in net.body.state_dict().items()
        if not name.startswith("fc.")
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main() -> None:
    """Make the pretext set, train, report, save, and write the new checksum into the source."""
    torch.set_num_threads(1)
    began = time.process_time()
    images, labels, maps = pretext()
    drawn = time.process_time()
    held = IMAGES // 12
    net = train(images[held:], labels[held:], maps[held:])
    print(f"drawn in {drawn - began:.0f} s, trained in {time.process_time() - drawn:.0f} s of CPU")
    report(net, images[:held], labels[:held])
    digest = save(net, backbones.WEIGHTS)
    source = Path(backbones.__file__)
    text = source.read_text(encoding="utf-8")
    source.write_text(re.sub(r'SHA256 = "\w{64}"', f'SHA256 = "{digest}"', text), encoding="utf-8")
    print(f"{backbones.WEIGHTS.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    sys.exit(main())
