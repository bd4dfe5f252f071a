"""medlab: a practice curriculum for medical AI, graded by a machine.

Importing this package loads nothing heavy; each room imports what it needs, late.
"""

__version__ = "0.1.0"


def load_ipython_extension(shell):
    """Register `%unit`, `%%check` and `%%needs` for `%load_ext medlab`."""
    from medlab.notebook.magics import register

    register(shell)
