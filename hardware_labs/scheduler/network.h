/* A small int8 network: a convolution, a second one, and three scores. Its weights are drawn by a
   generator and mean nothing; what counts in this lab is how long it takes and what it reads. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#define NETWORK_INPUTS 64
#define NETWORK_OUTPUTS 3

/* Read NETWORK_INPUTS values, again and again until it is done; write NETWORK_OUTPUTS scores. */
void network(const int8_t *input, int8_t *scores);

#endif
