"""Train the beat classifier of the ECG monitor on generated heart signals, and make it int8.

    OMP_NUM_THREADS=1 python tools/train_ecg_monitor.py

Writes hardware_labs/ecg_monitor/model.tflite. All training data is generated
(medlab.datasets.ecg): its results say nothing about patients. Takes about a minute and a half on
one core; the same machine gives the same bytes.

Input: 256 samples of lead MLII at 360 Hz, the R wave at index 160, less their mean, in eighths of
their mean absolute deviation, as int8. Calibration holds both ends of that range, so that the
model's input scale is exactly 1/8 and its zero point 0: the firmware feeds its numbers as they are.
Output: N, S, V, F (AAMI EC57).
"""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from medlab.datasets import ecg

OUT = Path(__file__).parents[1] / "hardware_labs" / "ecg_monitor" / "model.tflite"
CLASSES = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F"}
NUMBER = {symbol: i for i, symbols in enumerate(CLASSES.values()) for symbol in symbols}
BEFORE, LENGTH = 160, 256
SHIFTS = 8  # samples by which a detector may miss the R wave
STEPS = 8  # of the input for one mean absolute deviation
SEED, PATIENTS, TEST_PATIENTS, SECONDS = 5, 260, 60, 75
EPOCHS, BATCH = 10, 128


def read_windows(seed: int, patients: int, shifts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 windows (n, 1, 256, 1) and classes (n,) of generated patients."""
    rng, rows, classes = np.random.default_rng(seed), [], []
    with tempfile.TemporaryDirectory() as folder:
        ecg.make(Path(folder), seed=seed, patients=patients, seconds=SECONDS)
        for name in ecg.record_names(folder):
            record = ecg.read_record(folder, name)
            signal = record.digital[:, record.lead("MLII")].astype(np.int64)
            for at, symbol in zip(*record.beats(), strict=True):
                start = at - BEFORE + rng.integers(-shifts, shifts + 1)
                if symbol in NUMBER and 0 <= start <= len(signal) - LENGTH:
                    rows.append(signal[start : start + LENGTH])
                    classes.append(NUMBER[symbol])
    return to_steps(np.stack(rows))[:, None, :, None], np.array(classes)


def to_steps(rows: np.ndarray) -> np.ndarray:
    """Return rows of whole numbers as the firmware feeds them, int8."""
    away = rows - ((rows.sum(axis=1, keepdims=True) + 128) >> 8)
    spread = np.abs(away).sum(axis=1, keepdims=True)
    steps = (2 * STEPS * LENGTH * np.abs(away) + spread) // (2 * spread)
    return np.clip(np.sign(away) * steps, -128, 127).astype(np.int8)


def to_input(steps: np.ndarray) -> np.ndarray:
    return steps.astype(np.float32) / STEPS


def build() -> keras.Model:
    """Return the network: four convolutions that halve the length, and one dense layer."""
    layers = [keras.Input((1, LENGTH, 1))]
    for filters, width in ((8, 9), (16, 7), (24, 5), (32, 5)):
        layers += [
            keras.layers.Conv2D(filters, (1, width), (1, 2), padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dropout(0.3)]
    return keras.Sequential([*layers, keras.layers.Dense(len(CLASSES), activation="softmax")])


def train(steps: np.ndarray, classes: np.ndarray) -> keras.Model:
    """Return a trained network; rare classes weigh a little more."""
    model = build()
    total = EPOCHS * -(-len(steps) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, total)),
        "sparse_categorical_crossentropy",
    )
    weights = (len(classes) / (len(CLASSES) * np.bincount(classes))) ** 0.25
    model.fit(
        to_input(steps),
        classes,
        BATCH,
        EPOCHS,
        class_weight=dict(enumerate(weights)),
        verbose=0,
    )
    return model


def to_int8(model: keras.Model, steps: np.ndarray) -> bytes:
    """Return the model as a full int8 .tflite file, calibrated on windows."""
    ends = np.zeros((1, 1, LENGTH, 1), np.int8)
    ends[0, 0, :2, 0] = -128, 127
    chosen = to_input(np.concatenate([ends, steps]))
    one = keras.Sequential([keras.Input(chosen.shape[1:], batch_size=1), *model.layers])
    converter = tf.lite.TFLiteConverter.from_keras_model(one)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None]] for window in chosen)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def ask_int8(content: bytes, steps: np.ndarray) -> np.ndarray:
    """Return the class of every window, by the reference kernels."""
    kernels = tf.lite.experimental.OpResolverType.BUILTIN_REF
    lite = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    lite.allocate_tensors()
    input_, output = lite.get_input_details()[0], lite.get_output_details()[0]
    assert input_["quantization"] == (1 / STEPS, 0), input_["quantization"]
    found = []
    for one in steps:
        lite.set_tensor(input_["index"], one[None])
        lite.invoke()
        found.append(lite.get_tensor(output["index"])[0].argmax())
    return np.array(found)


def report(title: str, classes: np.ndarray, found: np.ndarray) -> None:
    """Print sensitivity, positive predictivity and F1 of each class."""
    print(title)
    scores = []
    for i, name in enumerate(CLASSES):
        right = ((found == i) & (classes == i)).sum()
        true, predicted = (classes == i).sum(), (found == i).sum()
        scores.append(2 * right / (true + predicted))
        print(f"  {name} {true:6} beats  Se {right / true:.3f}  +P {right / max(predicted, 1):.3f}")
    print(f"  macro-F1 {np.mean(scores):.3f}")


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(SEED)
    steps, classes = read_windows(SEED, PATIENTS, SHIFTS)
    model = train(steps, classes)
    some = np.random.default_rng(SEED).choice(len(steps), 500, replace=False)
    content = to_int8(model, steps[some])
    OUT.write_bytes(content)
    tested, truth = read_windows(SEED + 1000, TEST_PATIENTS, 0)
    print(f"{len(steps)} windows of {PATIENTS} generated patients; {len(content):,} bytes")
    by_float = model.predict(to_input(tested), 256, 0).argmax(axis=1)
    report("float, other generated patients", truth, by_float)
    report("int8, other generated patients", truth, ask_int8(content, tested))


if __name__ == "__main__":
    main()
