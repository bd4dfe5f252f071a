"""What a kernel finds in the place of a module that is hidden from it."""

raise ImportError("this module answers an exercise of the unit: it is hidden while you are graded")
