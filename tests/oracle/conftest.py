"""Let the tests of this folder import the helper that stands beside them."""

import sys
from pathlib import Path

# pytest's importlib mode leaves sys.path alone, so a test file cannot see its neighbours.
sys.path.insert(0, str(Path(__file__).parent))
