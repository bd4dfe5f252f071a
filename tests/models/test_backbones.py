import pytest
import torch

from medlab.errors import BadInput
from medlab.models import backbones
from medlab.models.backbones import chest_resnet18


def test_the_backbone_gives_one_logit_for_each_image():
    net = chest_resnet18().eval()
    for size in (64, 96):
        assert net(torch.rand(2, 1, size, size)).shape == (2, 1)


def test_module_names_are_those_of_torchvisions_resnet18():
    from torchvision.models import resnet18

    ours = {name for name, _ in chest_resnet18(pretrained=False).named_modules()}
    theirs = {name for name, _ in resnet18(weights=None).named_modules()}
    assert ours == theirs


def test_the_weights_file_is_small():
    assert backbones.WEIGHTS.stat().st_size <= 2_000_000


def test_pretrained_weights_differ_from_random_ones_and_are_always_the_same():
    one, two = chest_resnet18(), chest_resnet18()
    assert torch.equal(one.layer3[0].conv1.weight, two.layer3[0].conv1.weight)
    random = chest_resnet18(pretrained=False)
    assert not torch.equal(one.layer3[0].conv1.weight, random.layer3[0].conv1.weight)
    assert one.bn1.running_mean.abs().sum() > 0


def test_weights_are_float32_and_finite():
    for value in chest_resnet18().state_dict().values():
        if value.is_floating_point():
            assert value.dtype == torch.float32
            assert torch.isfinite(value).all()


def test_the_last_layer_follows_the_seed():
    torch.manual_seed(1)
    one = chest_resnet18().fc.weight
    torch.manual_seed(1)
    assert torch.equal(one, chest_resnet18().fc.weight)


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_other_weights_than_those_shipped_are_refused(content, tmp_path, monkeypatch):
    file = tmp_path / "chest_resnet18.pt"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(backbones, "WEIGHTS", file)
    with pytest.raises(BadInput, match="not the file that medlab ships"):
        chest_resnet18()
