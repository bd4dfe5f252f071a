"""What a board has at its addresses besides memory; each device answers reads and writes in words.

Time passes in instructions alone: a byte is sent, a sample converted and a flash sector erased at
once. Not covered: interrupts of devices other than SysTick and the alarm line, DMA other than the
converter's and one stream's, errors on the serial line.
"""
