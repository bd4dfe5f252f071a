"""The memory map: flash, RAM, and the devices at the other addresses."""

from collections.abc import Callable, Iterable

import unicorn

from medlab.edge.boards.devices.flash_controllers import FlashController
from medlab.edge.boards.devices.registers import PAGE, ForbiddenWrite, Registers


class Bus:
    """Answers the core's reads and writes; reports those that reach nothing or are forbidden.

    on_fault is called with the reason for an access that stops the core, on_rewrite with the first
    and last address of memory that a device changed.
    """

    on_fault: Callable[[str], None]
    on_rewrite: Callable[[int, int], None]

    def __init__(self, uc: unicorn.Uc, flash: range, ram: range, devices: list[Registers]):
        """Map address ranges of flash and RAM, and the devices, into unicorn's engine."""
        self.uc, self.flash, self.ram, self.devices = uc, flash, ram, devices
        self.flash_controller = next((d for d in devices if isinstance(d, FlashController)), None)
        if self.flash_controller:
            self.flash_controller.cover(flash.start)
        uc.mem_map(flash.start, len(flash), unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        uc.mem_map(ram.start, len(ram))
        uc.mem_write(flash.start, b"\xff" * len(flash))
        for page in sorted({page for device in devices for page in _pages(device)}):
            uc.mmio_map(page, PAGE, self._read_device, page, self._write_device, page)
        uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._on_unmapped)
        uc.hook_add(unicorn.UC_HOOK_MEM_WRITE_PROT, self._on_flash_write)

    def load(self, segments: Iterable[tuple[int, bytes]]) -> None:
        """Put a program into flash; segments: (address, content)."""
        for address, content in segments:
            self.uc.mem_write(address, content)

    def read(self, address: int, count: int) -> bytes:
        """Return bytes of flash or RAM."""
        return bytes(self.uc.mem_read(address, count))

    def write(self, address: int, content: bytes) -> None:
        """Change bytes of flash or RAM for a device; raise ForbiddenWrite if there is neither."""
        last = address + len(content) - 1
        if not any(address in part and last in part for part in (self.flash, self.ram)):
            raise ForbiddenWrite(f"a device would write to 0x{address:08x}, where nothing is")
        self.uc.mem_write(address, content)
        self.on_rewrite(address, last)

    def _on_unmapped(self, _uc, access: int, address: int, size: int, _value: int, _data) -> bool:
        kind = _kind(access)
        self.on_fault(f"{kind} of {size} bytes at 0x{address:08x}, where there is nothing")
        return False

    def _on_flash_write(self, _uc, _access, address: int, size: int, value: int, _data) -> bool:
        content = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        try:
            if self.flash_controller is None:
                raise ForbiddenWrite("this board's flash cannot be written")
            self.flash_controller.program(address, content)
        except ForbiddenWrite as problem:
            self.on_fault(f"write of {size} bytes to flash at 0x{address:08x}: {problem}")
            return False
        return True  # unicorn then drops the write itself: the controller has done it

    def _read_device(self, _uc, offset: int, size: int, page: int) -> int:
        address = page + offset
        device = self._device_at(address)
        if device is None:
            self.on_fault(f"read of {size} bytes at 0x{address:08x}, where there is nothing")
            return 0
        at = address - device.at
        return device.read(at & ~3) >> 8 * (at & 3) & (1 << 8 * size) - 1

    def _write_device(self, _uc, offset: int, size: int, value: int, page: int) -> None:
        address = page + offset
        device = self._device_at(address)
        if device is None:
            self.on_fault(f"write of {size} bytes at 0x{address:08x}, where there is nothing")
            return
        at = address - device.at
        shift, mask = 8 * (at & 3), (1 << 8 * size) - 1
        kept = device.words.get(at & ~3, 0) & ~(mask << shift) if size < 4 else 0
        try:
            device.write(at & ~3, kept | (value & mask) << shift)
        except ForbiddenWrite as problem:
            self.on_fault(f"write to 0x{address:08x}: {problem}")

    def _device_at(self, address: int) -> Registers | None:
        return next((d for d in self.devices if d.at <= address < d.at + d.size), None)


def _pages(device: Registers) -> range:
    return range(device.at & -PAGE, device.at + device.size, PAGE)


def _kind(access: int) -> str:
    if access in (unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT):
        return "fetch of an instruction"
    return "write" if access == unicorn.UC_MEM_WRITE_UNMAPPED else "read"
