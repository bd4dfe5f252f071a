"""Small pretrained networks that units start from, and the device that they train on.

No training loop and no metric that a unit asks for.
"""
