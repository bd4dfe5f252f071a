"""The models: published ones, the heart monitor's, and others whose random weights know nothing."""

import os
from pathlib import Path

import numpy as np
from tests.support import edge_models as making

from medlab.edge.boards import find_hardware_labs

# As converters write them: what a ReLU gives starts at zero, which is the lowest of int8.
SHORT = {"activation": making.RELU, "zero_point": -128}
REFERENCE = {"kws": "kws_ref_model.tflite", "ic": "pretrainedResnet_quant.tflite"}


def models(whole: bool = True) -> dict[str, bytes]:
    """Return the .tflite files; a reference model that is not there is left out, with a line.

    Not whole: ecg and vww end with their last feature map. Their random weights give one class
    whatever they are fed, so that equal classes would prove nothing.
    """
    folder = Path(os.environ.get("MEDLAB_REALDATA", "")) / "models" / "mlperf_tiny"
    found = {}
    for name, file in REFERENCE.items():
        if os.environ.get("MEDLAB_REALDATA") and (folder / file).is_file():
            found[name] = (folder / file).read_bytes()
        else:
            print(f"{name} is left out: MEDLAB_REALDATA names no folder with models/mlperf_tiny")
    monitor = find_hardware_labs() / "ecg_monitor" / "model.tflite"
    made = {"ecg": ecg(whole), "vww": vww(whole), "ad": ad()}
    return found | made | {"monitor": monitor.read_bytes()}


def ecg(whole: bool = True) -> bytes:
    """Make a separable network over 187 samples, 5 classes, of 0.38 million MACs.

    Others of as many MACs cost about as many instructions; their flash and RAM go with how the
    weights are spread.
    """
    rng = np.random.default_rng(0)
    maker = making.Maker((1, 1, 187, 1))
    last = making.convolve(maker, rng, maker.input, 16, (1, 7), (1, 2), **SHORT)
    for channels, stride in ((32, 2), (64, 2), (64, 1), (64, 1), (96, 2)):
        last = making.depthwise(maker, rng, last, (1, 5), (1, stride), **SHORT)
        last = making.convolve(maker, rng, last, channels, (1, 1), **SHORT)
    return _classified(maker, rng, last, 5) if whole else maker.finish()


def vww(whole: bool = True) -> bytes:
    """Make MobileNetV1 of width 0.25 over 96 x 96 colour pixels, 2 classes, without weights' sense.

    The shapes are those of MLPerf Tiny's visual wake words model (Banbury et al. 2021;
    Howard et al. 2017).
    """
    rng = np.random.default_rng(1)
    maker = making.Maker((1, 96, 96, 3), 1 / 128, 0)
    last = making.convolve(maker, rng, maker.input, 8, (3, 3), (2, 2), **SHORT)
    strides_two = {32, 64, 128, 256}
    before = 8
    for channels in (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256):
        stride = 2 if channels in strides_two and channels != before else 1
        last = making.depthwise(maker, rng, last, (3, 3), (stride, stride), **SHORT)
        last = making.convolve(maker, rng, last, channels, (1, 1), **SHORT)
        before = channels
    return _classified(maker, rng, last, 2) if whole else maker.finish()


def ad() -> bytes:
    """Make a dense autoencoder of 640 inputs, in the shapes of MLPerf Tiny's anomaly model."""
    rng = np.random.default_rng(2)
    maker = making.Maker((1, 640), 0.4, 92)
    last = maker.input
    for channels in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        last = making.dense(maker, rng, last, channels, **SHORT)
    making.dense(maker, rng, last, 640)
    return maker.finish()


def _classified(maker, rng, last, classes) -> bytes:
    """End with the mean over all places, a dense layer and softmax."""
    sides = maker.shape_of(last)[1:3]
    last = making.pool(maker, last, kernel=sides, strides=sides, padding=making.VALID)
    last = making.dense(maker, rng, last, classes)
    maker.add("SOFTMAX", [last], maker.shape_of(last), 1 / 256, -128, beta=1.0)
    return maker.finish()
