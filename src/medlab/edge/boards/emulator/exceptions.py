"""Interrupt handlers: SysTick, PendSV, SVC and a line's, entered and left as the core does it.

unicorn runs instructions and knows no interrupts. So the frame is pushed here, the handler is
entered through the vector table, and a branch to an EXC_RETURN value brings the frame back. An
interrupt is taken between blocks of instructions, never within one. It takes no cycles, and the
floating-point registers are saved at once, not lazily.
Source: Armv7-M Architecture Reference Manual, B1.5.
Not covered: faults as exceptions, and interrupts of devices other than a line.
"""

import struct

from unicorn import arm_const as arm

EXC_RETURN = 0xFFFFFFE1
NO_FLOAT, TO_THREAD, FROM_PSP = 1 << 4, 1 << 3, 1 << 2
SPSEL, FPCA = 1 << 1, 1 << 2  # bits of CONTROL
ALIGNED = 1 << 9  # bit of the stacked xPSR: a word was skipped
NUMBER = 0x1FF
THUMB = 1 << 24
LOWEST = 256  # below every priority
CORE_FRAME = [arm.UC_ARM_REG_R0 + i for i in range(4)] + [arm.UC_ARM_REG_R12, arm.UC_ARM_REG_LR]
FLOATS = [arm.UC_ARM_REG_S0 + i for i in range(16)]


class Exceptions:
    """Which handlers are running, and the way into and out of them."""

    def __init__(self, uc):
        """Take unicorn's core."""
        self.uc = uc
        self.active: list[tuple[int, int]] = []  # number and priority, the innermost last

    def due(self, pending: dict[int, int]) -> int | None:
        """Return which pending exception would be taken now; pending: number -> priority."""
        if not pending or self.uc.reg_read(arm.UC_ARM_REG_PRIMASK) & 1:
            return None
        priority, number = min((priority, number) for number, priority in pending.items())
        base = self.uc.reg_read(arm.UC_ARM_REG_BASEPRI) & 0xFF
        limit = min(self.active[-1][1] if self.active else LOWEST, base or LOWEST)
        return number if priority < limit else None

    def enter(self, number: int, priority: int, back: int, vectors: int) -> int:
        """Push the frame; return the handler's address, by the vector table at an address.

        back: where the program goes on afterwards.
        """
        control = self.uc.reg_read(arm.UC_ARM_REG_CONTROL)
        in_thread = not self.active
        from_psp = in_thread and control & SPSEL
        self._push(back, with_floats=control & FPCA)
        self._set_number(number)
        self.uc.reg_write(arm.UC_ARM_REG_CONTROL, control & ~(SPSEL | FPCA))
        code = EXC_RETURN | (0 if control & FPCA else NO_FLOAT)
        code |= (TO_THREAD if in_thread else 0) | (FROM_PSP if from_psp else 0)
        self.uc.reg_write(arm.UC_ARM_REG_LR, code)
        self.active.append((number, priority))
        return self._word(vectors + 4 * number) & ~1

    def leave(self, code: int) -> tuple[int, int]:
        """Take the frame that an EXC_RETURN value names.

        Returns the number of the handler that was left, and where the program goes on.
        """
        number, _ = self.active.pop()
        with_floats = not code & NO_FLOAT
        control = self.uc.reg_read(arm.UC_ARM_REG_CONTROL) & ~(SPSEL | FPCA)
        control |= (SPSEL if code & FROM_PSP else 0) | (FPCA if with_floats else 0)
        self.uc.reg_write(arm.UC_ARM_REG_CONTROL, control)
        self._set_number(self.active[-1][0] if self.active else 0)
        return number, self._pop(with_floats)

    def _push(self, back: int, with_floats: int) -> None:
        stack = self.uc.reg_read(arm.UC_ARM_REG_SP)
        bottom = stack - (0x68 if with_floats else 0x20)
        status = self.uc.reg_read(arm.UC_ARM_REG_XPSR) | THUMB
        status |= ALIGNED if bottom & 4 else 0
        bottom &= ~7
        words = [*map(self.uc.reg_read, CORE_FRAME), back, status]
        if with_floats:
            words += [*map(self.uc.reg_read, FLOATS), self.uc.reg_read(arm.UC_ARM_REG_FPSCR), 0]
        self.uc.mem_write(bottom, struct.pack(f"<{len(words)}I", *words))
        self.uc.reg_write(arm.UC_ARM_REG_SP, bottom)

    def _pop(self, with_floats: bool) -> int:
        stack = self.uc.reg_read(arm.UC_ARM_REG_SP)
        count = 26 if with_floats else 8
        words = struct.unpack(f"<{count}I", self.uc.mem_read(stack, 4 * count))
        for register, word in zip(CORE_FRAME, words, strict=False):
            self.uc.reg_write(register, word)
        for register, word in zip(FLOATS, words[8:24], strict=False):
            self.uc.reg_write(register, word)
        if with_floats:
            self.uc.reg_write(arm.UC_ARM_REG_FPSCR, words[24])
        back, status = words[6:8]
        self.uc.reg_write(arm.UC_ARM_REG_SP, stack + 4 * count + (4 if status & ALIGNED else 0))
        number = self.uc.reg_read(arm.UC_ARM_REG_XPSR) & NUMBER
        self.uc.reg_write(arm.UC_ARM_REG_XPSR, status & ~(NUMBER | ALIGNED) | number)
        return back & ~1

    def _set_number(self, number: int) -> None:
        # unicorn then also changes between the two stack pointers.
        status = self.uc.reg_read(arm.UC_ARM_REG_XPSR) & ~NUMBER
        self.uc.reg_write(arm.UC_ARM_REG_XPSR, status | number)

    def _word(self, address: int) -> int:
        return int.from_bytes(self.uc.mem_read(address, 4), "little")
