"""What benchmarks/classroom.py is made of."""
