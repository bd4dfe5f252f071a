"""Units train where they are told: PyTorch's meta device refuses to mix devices."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from medlab.course import find_course, load_syllabus, load_unit
from medlab.models.backbones import chest_resnet18

META = torch.device("meta")
LABELS = torch.tensor([0, 1] * 8)


def without_numbers():
    """Expect the end: only after the first steps is a number asked for, which meta has not."""
    return pytest.raises((NotImplementedError, RuntimeError), match=r"(?i)cannot .*meta")


def train_of(slug: str, **names):
    """Return a unit's own function train, told to train on meta; names: what else it uses."""
    cells = load_unit(load_syllabus(find_course()).find(slug)).cells
    (source,) = [cell.source for cell in cells if "DEVICE = training_device()" in cell.source]
    names |= {"torch": torch, "nn": nn, "F": functional, "training_device": lambda: META}
    exec(compile(source, slug, "exec"), names)
    return names["train"]


@pytest.fixture
def devices(monkeypatch):
    """Collect the devices on which AdamW takes its steps."""
    seen, step = [], torch.optim.AdamW.step

    def noted(self, *arguments, **named):
        seen.append(self.param_groups[0]["params"][0].device)
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    return seen


def test_patients_not_images_trains_where_it_is_told(devices):
    loss = functional.binary_cross_entropy_with_logits
    train = train_of(
        "patients-not-images",
        EPOCHS=2,
        chest_resnet18=chest_resnet18,
        binary_cross_entropy_with_logits=loss,
    )
    with without_numbers():
        train(torch.rand(16, 1, 32, 32), LABELS, seed=0)
    assert devices == [META] * 2


def test_unet_from_scratch_trains_where_it_is_told(devices):
    train = train_of(
        "unet-from-scratch",
        SEED=0,
        CLASSES=("background", "liver"),
        dice_ce=lambda logits, labels: (functional.cross_entropy(logits, labels),),
    )
    with without_numbers():
        train(
            nn.Conv2d(1, 2, 3, padding=1),
            torch.rand(16, 1, 8, 8),
            LABELS.view(4, 2, 2).repeat(4, 4, 4),
            3,
        )
    assert devices == [META]


def test_retinopathy_fusion_trains_where_it_is_told(devices):
    train, rows = train_of("retinopathy-fusion"), torch.rand(16, 6)
    with without_numbers():
        train(nn.Linear(6, 5), lambda at: rows[at].to(META), LABELS, epochs=2, rate=1e-3)
    assert devices == [META] * 2
