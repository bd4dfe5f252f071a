"""What benchmarks/microcontroller.py and bit_exactness.py are made of."""
