"""The Arduino sketch: the same files, the same model as bytes, an arena that is large enough."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import monitor_runs as runs

from medlab.datasets import ecg
from medlab.edge import boards, compile_model
from medlab.edge.boards import arduino
from medlab.edge.compiler.smallest_arena import smallest_arena
from medlab.errors import BadInput

MEDLAB = Path(sys.executable).with_name("medlab")
STAND_IN = Path(__file__).with_name("arduino")
SHARED = {"beats", "window", "quality", "monitor"}


@pytest.fixture(scope="module")
def sketch(tmp_path_factory):
    return arduino.sketch(runs.MONITOR, runs.MODEL, tmp_path_factory.mktemp("sketch"))


def medlab(*arguments, **environment):
    command = [MEDLAB, *map(str, arguments)]
    environment = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def bytes_in(header: str) -> bytes:
    return bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})\b", header))


def test_the_byte_array_is_the_model(sketch):
    text = (sketch / "model_data.h").read_text()
    assert bytes_in(text) == runs.MODEL.read_bytes()
    assert "alignas(16)" in text


def test_the_sketch_shares_the_monitors_own_files(sketch):
    assert (sketch / "ecg_monitor.ino").is_file()
    assert not (sketch / "main.c").exists()
    for name in SHARED:
        for kind in ("c", "h"):
            file = f"{name}.{kind}"
            assert (sketch / file).read_text() == (runs.MONITOR / file).read_text()
    assert "MODEL_ARENA_SIZE" not in (sketch / "model.h").read_text()


def test_the_sketchs_arena_is_large_enough_and_not_wasteful():
    done = medlab("edge", "arena", runs.MODEL)
    least = int(re.match(r"([\d,]+) bytes: tflite-micro", done.stdout)[1].replace(",", ""))
    said = re.search(r"kArenaBytes = (\d+) \* 1024", _sketch_text())
    assert least <= int(said[1]) * 1024 <= 2 * least + 4096


def test_the_sketch_registers_every_operator_of_the_model():
    from medlab.edge.compiler.tflite import read_model

    called = {
        "CONV_2D": "AddConv2D",
        "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
        "FULLY_CONNECTED": "AddFullyConnected",
        "AVERAGE_POOL_2D": "AddAveragePool2D",
        "MAX_POOL_2D": "AddMaxPool2D",
        "RESHAPE": "AddReshape",
        "EXPAND_DIMS": "AddExpandDims",
        "SOFTMAX": "AddSoftmax",
    }
    for operator in read_model(runs.MODEL).operators:
        assert f"operators.{called[operator.kind]}()" in _sketch_text()


def _sketch_text() -> str:
    return (runs.MONITOR / "arduino" / "ecg_monitor.ino").read_text()


def on_this_machine(sketch: Path, folder: Path) -> Path:
    """Build the sketch against stand-ins for Arduino and, with the compiler's C in it, for TFLM."""
    compilers = [shutil.which("cc") or shutil.which("gcc"), shutil.which("c++")]
    if None in compilers:
        pytest.skip("no C and C++ compiler of this machine")
    cc, cxx = compilers
    compile_model(runs.MODEL, folder / "compiled")
    renamed = [f"-Dmodel_{part}=compiled_{part}" for part in ("input", "invoke", "output")]
    objects = []
    for source in [*sorted(sketch.glob("*.c")), folder / "compiled" / "model.c"]:
        objects.append(str(folder / f"{source.stem}.o"))
        own = renamed if source.stem == "model" else []
        command = [cc, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", *own, "-c", str(source)]
        subprocess.run([*command, "-o", objects[-1]], check=True)
    program = folder / "sketch"
    command = [cxx, "-std=c++17", "-O1", "-Wall", "-Wextra", f"-I{STAND_IN}", f"-I{sketch}"]
    command += [str(STAND_IN / "drive.cpp"), *objects, "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def test_the_sketch_says_what_the_board_says(sketch, tmp_path, listen):
    ecg.make(tmp_path, seed=8, patients=1, seconds=12)
    record = ecg.read_record(tmp_path, "300")
    feed = record.digital[:, 0].tolist()
    program = on_this_machine(sketch, tmp_path)
    heard = subprocess.run(
        [program],
        input="".join(f"{sample}\n" for sample in feed),
        capture_output=True,
        text=True,
        check=True,
    )
    ours = heard.stdout.splitlines()[1:]
    assert len([line for line in ours if " none" not in line]) > 10
    said = listen(feed)
    assert [runs._beat(line) for line in ours if line.startswith("beat")] == [
        beat for beat in said.beats if beat.why != "sensor stopped"
    ]


def test_the_sketch_alarms_when_an_electrode_comes_off(sketch, tmp_path):
    program = on_this_machine(sketch, tmp_path)
    feed = "".join("-\n" if 200 < i < 500 else f"{1024 + i % 60}\n" for i in range(1000))
    heard = subprocess.run([program], input=feed, capture_output=True, text=True, check=True)
    assert "alarm 180 lead off" in heard.stdout


def test_samples_that_nobody_took_in_time_are_an_alarm(sketch, tmp_path):
    program = on_this_machine(sketch, tmp_path)
    feed = "".join("+\n" if i == 400 else f"{1024 + i % 60}\n" for i in range(700))
    heard = subprocess.run([program], input=feed, capture_output=True, text=True, check=True)
    assert "alarm 401 samples lost" in heard.stdout


def test_the_commands_write_array_and_sketch(tmp_path):
    done = medlab("edge", "array", runs.MODEL, "--out", tmp_path / "a.h")
    assert done.returncode == 0, done.stderr
    assert bytes_in((tmp_path / "a.h").read_text()) == runs.MODEL.read_bytes()
    done = medlab("board", "sketch", "ecg_monitor", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "ecg_monitor" / "model_data.h"
    assert bytes_in(written.read_text()) == runs.MODEL.read_bytes()
    assert "arduino-cli compile --fqbn arduino:mbed_nano:nano33ble" in done.stdout


def test_without_arduino_cli_one_line_says_what_to_do(tmp_path):
    done = medlab(
        *("board", "sketch", "ecg_monitor", "--out", tmp_path, "--compile"),
        PATH="/nowhere",
    )
    assert done.returncode == 2
    assert done.stderr.startswith("medlab: arduino-cli is not installed: install it, or open")
    assert len(done.stderr.splitlines()) == 1


def stand_in_for_arduino_cli(folder: Path, script: str) -> str:
    path = folder / "arduino-cli"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_arduino_cli_compiles_and_uploads(tmp_path, sketch, monkeypatch):
    path = stand_in_for_arduino_cli(tmp_path, f'echo "$@" >> {tmp_path}/told')
    monkeypatch.setenv("PATH", path)
    arduino.build(sketch, boards.load("nrf52840"), "/dev/ttyACM0")
    compiles, uploads = (tmp_path / "told").read_text().splitlines()
    assert compiles == f"compile --fqbn arduino:mbed_nano:nano33ble {sketch}"
    assert "--port /dev/ttyACM0" in uploads


def test_what_arduino_cli_cannot_build_is_one_line(tmp_path, sketch, monkeypatch):
    script = "echo noise; echo 'x.ino:3: fatal error: TensorFlowLite.h: no such file' >&2; exit 1"
    monkeypatch.setenv("PATH", stand_in_for_arduino_cli(tmp_path, script))
    with pytest.raises(BadInput, match=r"cannot compile the sketch: x\.ino:3: fatal error"):
        arduino.build(sketch, boards.load("nrf52840"))


def test_a_board_that_is_no_arduino_and_an_application_without_a_sketch_are_refused(tmp_path):
    with pytest.raises(BadInput, match="not an Arduino board"):
        arduino.commands(tmp_path, boards.load("stm32f405"))
    with pytest.raises(BadInput, match="has no Arduino sketch"):
        arduino.sketch(boards.application("hello"), runs.MODEL, tmp_path)


def test_an_arena_that_no_size_satisfies_and_a_file_that_is_no_model_are_one_line(tmp_path):
    with pytest.raises(BadInput, match="in an arena of 1,024 bytes"):
        smallest_arena(runs.MODEL, most=1024)
    (tmp_path / "no.tflite").write_bytes(b"nothing")
    with pytest.raises(BadInput):
        smallest_arena(tmp_path / "no.tflite")
    with pytest.raises(BadInput):
        arduino.array(tmp_path / "no.tflite")
