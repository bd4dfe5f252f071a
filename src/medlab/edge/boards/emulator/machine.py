"""A whole board: bus, core, profiler and tracer around one engine of unicorn."""

from medlab.edge.boards.devices.interrupts import InterruptSource
from medlab.edge.boards.devices.registers import Registers
from medlab.edge.boards.devices.system_control import SystemControl
from medlab.edge.boards.emulator.bus import Bus
from medlab.edge.boards.emulator.core import MODELS, Core, new_engine
from medlab.edge.boards.emulator.profiler import Profiler
from medlab.edge.boards.emulator.tracer import Tracer
from medlab.edge.boards.firmware import Firmware
from medlab.edge.boards.run import RunRequest


class Machine:
    """Memory, devices and a core with a program in it. Runs once."""

    def __init__(self, core: str, flash: range, ram: range, devices: list[Registers]):
        """Take the core's name, address ranges of flash and RAM, and the devices between them."""
        self.uc = new_engine(core)
        self.system = SystemControl(MODELS[core][1])
        self.system.sources = [d for d in devices if isinstance(d, InterruptSource)]
        self.devices = [self.system, *devices]
        self.bus = Bus(self.uc, flash, ram, self.devices)
        self.profiler = Profiler(self.uc)
        self.tracer = Tracer(self.uc, self.profiler)
        self.core = Core(self.uc, self.bus, self.profiler, self.tracer, self.system)
        self.bus.on_rewrite = self.profiler.forget_blocks
        for device in self.devices:
            device.connect(self)

    def load(self, firmware: Firmware, request: RunRequest) -> None:
        """Put a program into flash, and prepare what the request wants recorded."""
        self.core.firmware = firmware
        self.bus.load(firmware.segments)
        self.profiler.watch(firmware, request.watch)
        self.profiler.paint_stack(firmware)
        if request.follow_arena:
            self.tracer.follow_arena(firmware, self.bus.ram)
        if request.follow_reads:
            self.tracer.follow_reads(firmware, request.follow_reads)

    def run(self, budget: int) -> None:
        """Run from reset until the program ends, faults, or has used its budget of instructions."""
        self.core.run(budget)

    def release(self) -> None:
        """Give the engine's memory back; what devices and parts have counted stays.

        The engine's hooks and the parts refer to each other, so that without this they wait for a
        garbage collection.
        """
        for part in (self, self.bus, self.profiler, self.tracer, self.core, self.core.exceptions):
            part.uc = None

    # --- what devices may ask: registers.MachineInterface ---

    def read_memory(self, address: int, count: int) -> bytes:
        """Return bytes of flash or RAM."""
        return self.bus.read(address, count)

    def write_memory(self, address: int, content: bytes) -> None:
        """Change bytes of flash or RAM; raise ForbiddenWrite if there is neither."""
        self.bus.write(address, content)

    def cycles(self) -> int:
        """Return the time since reset: instructions run, and cycles slept."""
        return self.core.cycles()

    def look_at_interrupts(self) -> None:
        """See before the next block whether an interrupt is due."""
        self.core.look_at_interrupts()
