"""Whether an exercise is still as it was released: a function that raises NotImplementedError."""

import dis
import types

FRAME = ("RESUME", "COPY_FREE_VARS", "NOP")  # Python's instructions that do nothing of their own


def is_stub(value: object) -> bool:
    """Tell whether a function does nothing but raise NotImplementedError, or a class has such one.

    A function that does anything before it raises is somebody's work.
    """
    if isinstance(value, type):
        return any(is_stub(part) for part in vars(value).values() if not isinstance(part, type))
    return isinstance(value, types.FunctionType) and _only_raises(value.__code__)


def _only_raises(code: types.CodeType) -> bool:
    steps = [step for step in dis.get_instructions(code) if step.opname not in FRAME]
    return [step.argval for step in steps] == ["NotImplementedError", 1]
