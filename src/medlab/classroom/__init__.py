"""The classroom: submissions, kernels, the referee, the gradebook and what is given back."""
