"""Small pretrained networks that units start from, and the device that they train on.

Not a training loop, and not a metric that a unit asks learners to write.
"""
