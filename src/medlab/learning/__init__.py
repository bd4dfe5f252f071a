"""Small networks and weights that units start from; never what an exercise asks for."""
