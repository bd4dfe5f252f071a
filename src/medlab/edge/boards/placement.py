"""Whether a firmware fits a board: its sections, what is loaded into flash, and its stack."""

from medlab.edge.boards.description import BoardDescription
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput


def check_sections(board: BoardDescription, firmware: Firmware) -> None:
    """Raise BadInput for a section that begins outside the board's memory."""
    for section in firmware.sections:
        if section.address not in board.flash_range and section.address not in board.ram_range:
            raise BadInput(
                f"{firmware.elf.name}: section {section.name} at 0x{section.address:08x} is "
                f"outside the memory of {board.name}: put it into .text, .rodata, .data or .bss"
            )


def check_loadable(board: BoardDescription, firmware: Firmware) -> None:
    """Raise BadInput for what does not fit into flash, and for a program without a stack."""
    for address, content in firmware.segments:
        last = address + len(content) - 1
        if address not in board.flash_range or last not in board.flash_range:
            raise BadInput(f"{firmware.elf.name} does not fit into the flash of {board.name}")
    limit, top = (firmware.symbols.get(f"__stack_{end}", 0) for end in ("limit", "top"))
    if limit not in board.ram_range or not limit < top <= board.ram_range.stop:
        raise BadInput(f"{firmware.elf.name} has no stack: link it with the board's linker.ld")


def check_functions(firmware: Firmware, functions: tuple[str, ...]) -> None:
    """Raise BadInput for the first function that the firmware does not have."""
    missing = [name for name in functions if name not in firmware.symbols]
    if missing:
        raise BadInput(
            f"{firmware.elf.name} has no function {missing[0]}: "
            "define it under this name; one that is static may be part of another"
        )
