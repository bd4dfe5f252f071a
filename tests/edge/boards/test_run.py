"""A request and a result travel to another process as JSON, unchanged."""

import json

import numpy as np
import pytest

from medlab.edge.boards.emulator.blocks import Block
from medlab.edge.boards.emulator.faults import Fault
from medlab.edge.boards.run import RunRequest, RunResult
from medlab.errors import BadInput

RESULT = {
    "firmware": "a.elf",
    "board": "stm32f405",
    "core": "cortex-m4",
    "budget": 1000,
    "exit_status": 0,
    "fault": None,
    "out_of_budget": False,
    "instructions": 6,
    "slept": 3,
    "uart": b"\xe9!",
    "uart_at": (4, 5),
    "samples_used": 2,
    "flash_bytes": 100,
    "ram_bytes": 8,
    "stack_bytes": 16,
    "arena_bytes": None,
    "reads": [1, 3],
    "calls": {"add": [2, 3]},
    "by_function": {"main": 6},
    "blocks": [Block(0x0800_0000, bytes.fromhex("0320 0138 fdd1"), hits=2, fell=1)],
}


def through_json(record):
    return type(record).from_json(json.loads(json.dumps(record.as_json())))


def test_a_request_is_the_same_behind_json():
    request = RunRequest(
        np.array([3, -4], np.int16), 500, ["add"], [70, 90], [range(2, 5)], True, "row"
    )
    assert request.feed == (3, -4)
    assert through_json(request) == request


@pytest.mark.parametrize("fault", [None, Fault("a breakpoint", 0x0800_0010, "main")])
def test_a_result_is_the_same_behind_json(fault):
    result = RunResult(**RESULT | {"fault": fault})
    assert result.cycles.likely > 0
    assert through_json(result) == result
    assert through_json(result).trace == [(4, "\xe9"), (5, "!")]


def test_a_result_without_an_end_is_one_line():
    late = RunResult(**RESULT | {"exit_status": None, "out_of_budget": True})
    with pytest.raises(BadInput, match=r"a\.elf on stm32f405 did not return within 1,000"):
        late.check()
    fault = Fault("a breakpoint", 0x0800_0010, "main")
    with pytest.raises(BadInput, match="a breakpoint, at pc 0x08000010 in main"):
        RunResult(**RESULT | {"exit_status": None, "fault": fault}).check()
