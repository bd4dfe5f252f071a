"""The unit's answers beside tflite-micro, byte for byte, and what its limit promises."""

import os
import symtable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, multinomial, norm

from medlab.course import find_course, load_syllabus, load_unit

ROOT = find_course(Path(__file__).parent)
REAL = os.environ.get("MEDLAB_REALDATA", "")
PLAIN = ("import tempfile", "def calibrate(", "class Net(", "def fold(", "def as_graph(")


@pytest.fixture(scope="module")
def unit():
    """The names that the unit's imports, answers and helpers define."""
    pytest.importorskip("torch")
    names = {"SEED": 0}
    for cell in load_unit(load_syllabus(ROOT).find("quantisation")).cells:
        plain = cell.role == "code" and any(words in cell.source for words in PLAIN)
        if cell.role == "exercise" or plain:
            exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def micro():
    pytest.importorskip("tflite_micro")
    from tests.support.edge_oracle import TfliteMicro

    oracle = TfliteMicro()
    yield oracle
    oracle.close()


def float_layers(rng, sizes, relu=True, bias=1.0):
    """Layers whose channels differ a hundredfold in range, as batch normalisation leaves them."""
    layers = []
    for inputs, outputs, kernel, stride, padding in sizes:
        spread = 10 ** rng.uniform(-1, 1, outputs)
        shape = (outputs, kernel, kernel, inputs)
        weights = rng.normal(size=shape) * spread[:, None, None, None] / np.sqrt(np.prod(shape[1:]))
        layer = {"weights": weights.astype(np.float32), "stride": stride, "padding": padding}
        layer["bias"] = (bias * rng.normal(size=outputs)).astype(np.float32)
        layers.append(layer | {"relu": relu})
    return layers


def as_tflite(codes, made, side):
    """Write integer layers as a .tflite file."""
    from tests.support.edge_models import RELU, SAME, VALID, Maker

    maker = Maker((1, side, side, made[0]["weights"].shape[3]), *codes[0])
    for layer, code in zip(made, codes[1:], strict=True):
        weights, scales = layer["weights"], layer["scales"]
        source = maker.output
        constant = maker.tensor(weights.shape, scales, 0, weights)
        sums = scales * np.float32(maker.scale_of(source))
        bias = maker.tensor([len(weights)], sums, 0, layer["bias"], type_="INT32")
        side = (side + sum(layer["padding"]) - weights.shape[1]) // layer["stride"] + 1
        maker.add(
            "CONV_2D",
            [source, constant, bias],
            [1, side, side, len(weights)],
            *code,
            padding=SAME if any(layer["padding"]) else VALID,
            strideH=layer["stride"],
            strideW=layer["stride"],
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=RELU if layer["relu"] else 0,
        )
    return maker.finish()


SINGLE = {
    "stride-2-odd-row-behind": ((3, 10, 3, 2, (0, 1)), 14, True),
    "same-padding": ((4, 6, 3, 1, (1, 1)), 9, True),
    "without-relu": ((4, 6, 3, 1, (1, 1)), 9, False),
    "no-padding": ((2, 5, 4, 1, (0, 0)), 8, False),
    "pointwise": ((9, 7, 1, 1, (0, 0)), 6, True),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_layer_equals_tflite_micro_in_every_byte(unit, micro, name):
    size, side, relu = SINGLE[name]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        layers = float_layers(rng, [size], relu)
        films = rng.normal(0.3, 1, (20, side, side, size[0])).astype(np.float32)
        codes, made = unit["quantise"](layers, unit["calibrate"](layers, films, 99.0))
        inputs = rng.integers(-128, 128, films.shape).astype(np.int8)
        expected = micro.run(as_tflite(codes, made, side), inputs)
        found = unit["int8_conv"](inputs, made[0]).reshape(len(films), -1)
        assert len(np.unique(expected)) > 20
        np.testing.assert_array_equal(found, expected)


def test_a_factor_above_one_equals_tflite_micro(unit, micro):
    rng = np.random.default_rng(5)
    layer = float_layers(rng, [(2, 6, 3, 1, (1, 1))], relu=False, bias=0.01)[0]
    codes = [(0.5, -3), (float(np.float32(0.004)), 7)]
    made = unit["layer_constants"](layer["weights"], layer["bias"], codes[0][0], codes[1][0])
    made = layer | made | {"in_zero": -3, "out_zero": 7}
    assert (made["shift"] < 0).any()
    inputs = rng.integers(-9, 4, (20, 6, 6, 2)).astype(np.int8)
    expected = micro.run(as_tflite(codes, [made], 6), inputs)
    np.testing.assert_array_equal(unit["int8_conv"](inputs, made).reshape(20, -1), expected)


@pytest.mark.parametrize("per_channel", [True, False])
def test_the_units_network_equals_tflite_micro_and_the_compilers_own_reading(
    unit, micro, per_channel
):
    rng = np.random.default_rng(1)
    sizes = [(1, 8, 3, 2, (0, 1)), (8, 16, 3, 2, (0, 1)), (16, 24, 3, 2, (1, 1))]
    layers = float_layers(rng, sizes) + float_layers(rng, [(24, 1, 4, 1, (0, 0))], relu=False)
    films = rng.uniform(size=(40, 28, 28, 1)).astype(np.float32)
    network = unit["quantise"](layers, unit["calibrate"](layers, films), per_channel)
    seen = unit["run_int8"](network, films, unit["int8_conv"])
    expected = micro.run(as_tflite(*network, 28), seen[0])
    assert len(np.unique(expected)) > 10
    np.testing.assert_array_equal(seen[-1].reshape(40, -1), expected)
    graph = unit["as_graph"](network)
    assert [o.output.shape[1] for o in graph.operators] == [14, 7, 4, 1]


def test_padding_with_zero_codes_is_not_what_tflite_micro_does(unit, micro):
    rng = np.random.default_rng(2)
    layers = float_layers(rng, [(3, 6, 3, 1, (1, 1))])
    films = rng.normal(1, 1, (10, 8, 8, 3)).astype(np.float32)
    network = unit["quantise"](layers, unit["calibrate"](layers, films))
    inputs = unit["to_int8"](films, *network[0][0])
    expected = micro.run(as_tflite(*network, 8), inputs).reshape(10, 8, 8, 6)
    framed = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    wrong = unit["int8_conv"](framed, network[1][0] | {"padding": (0, 0)})
    assert (wrong != expected)[:, 0].any()
    assert (wrong == expected)[:, 1:-1, 1:-1].all()


def share_of_studies(unit, n, loss, discordance, says):
    """Sum the probability of all studies of n films in which says(found) is true."""
    shares = np.array([discordance - loss, discordance + loss]) / 2  # only int8, only float
    most = binom.isf(1e-7, n, shares).astype(int) + 1
    total = 0.0
    for b, c in np.ndindex(*(most + 1)):
        counts = [b, c, n - b - c]
        old, new = np.repeat([False, True, True], counts), np.repeat([True, False, True], counts)
        if says(unit["judge_floor"](old, new, 0.03, 1e-6)):
            total += multinomial.pmf(counts, n, [*shares, 1 - discordance])
    return float(total)


PLANS = [(0.03, 207), (0.04, 275), (0.06, 413)]


@pytest.mark.parametrize(("discordance", "n"), PLANS)
def test_a_port_that_loses_the_margin_is_rarely_called_good(unit, discordance, n):
    """All studies that could happen, summed: at most 5 % false claims, and not far less."""
    false_claims = share_of_studies(unit, n, 0.03, discordance, lambda f: f["verdict"] == "kept")
    print(f"discordance {discordance:.0%}, {n} films: false claims {false_claims:.3f}")
    assert 0.01 < false_claims < 0.06


@pytest.mark.parametrize(("discordance", "n"), PLANS[1:])
def test_the_limit_lies_above_the_true_loss_in_95_percent_of_studies(unit, discordance, n):
    covered = share_of_studies(unit, n, 0.01, discordance, lambda f: f["limit"] > 0.01)
    print(f"discordance {discordance:.0%}, {n} films: covered {covered:.3f}")
    assert covered == pytest.approx(0.95, abs=0.02)


def test_the_number_of_films_is_the_published_one(unit):
    for discordance, wanted in ((0.01, 619), (0.02, 1237), (0.04, 2474)):
        assert unit["judge_floor"]([True], [True], 0.01, discordance)["needed"] == wanted


def test_without_any_difference_the_limit_has_a_closed_form(unit):
    z2 = norm.ppf(0.95) ** 2
    for n in (30, 60, 500):
        found = unit["judge_floor"]([True] * n, [True] * n, 0.5, 1e-6)
        assert found["limit"] == pytest.approx(z2 / (n + z2), abs=1e-6)


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_on_real_pictures_int8_keeps_the_floor_of_the_unit(unit, record_property, capsys):
    """The unit's network and integers on PneumoniaMNIST."""
    import torch

    splits = unit["pneumonia_mnist"].read(Path(REAL, "cxr", "pneumoniamnist_open.npz"))
    films = {n: s.images[..., None].astype(np.float32) / 255 for n, s in splits.items()}
    labels = {n: s.labels.astype(bool) for n, s in splits.items()}
    torch.manual_seed(0)
    layers = unit["fold"](unit["train"](unit["Net"](), films["train"], labels["train"], 10))
    network = unit["quantise"](layers, unit["calibrate"](layers, films["train"][::8]))
    right = unit["logits_of"](layers, films["test"]) > 0
    found = unit["int8_logits"](network, films["test"], unit["int8_conv"]) > 0
    sick = labels["test"]
    judged = [unit["judge_floor"](right[sick], found[sick], 0.03, 0.03)]
    judged.append(unit["judge_floor"](~right[~sick], ~found[~sick], 0.03, 0.03))
    with capsys.disabled():
        share = right[sick].mean(), (~right[~sick]).mean()
        print(f"\nreal pictures: float {share[0]:.3f} and {share[1]:.3f}, int8 {judged}")
    record_property("losses", [j["loss"] for j in judged])
    assert judged[0]["verdict"] == "kept"
    assert max(abs(j["loss"]) for j in judged) < 0.03


def test_no_cell_overwrites_a_helper_that_a_learner_is_likely_to_write():
    taken = set()
    for cell in load_unit(load_syllabus(ROOT).find("quantisation")).cells:
        if cell.role in ("code", "check"):
            symbols = symtable.symtable(cell.source, cell.name or "cell", "exec").get_symbols()
            taken |= {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    assert not taken & {
        "away",
        "half_away",
        "round_away",
        "limit",
        "requantise",
        "clip",
        "z",
        "pad",
    }
