/* Three kernels of an int8 network. The unit kernels-in-c has them written; none is here. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

/* Scale a 32-bit sum to int8: the factor is multiplier / 2^31 * 2^shift, then zero is added. */
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero);

/* Return the sum of (a[i] - zero) * b[i] over count values. */
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero);

/* A depthwise convolution of 3 x 3, stride 1, the output as large as the input. */
typedef struct {
  int height, width, channels;
  const int8_t *input;       /* height x width x channels */
  const int8_t *weights;     /* 3 x 3 x channels */
  const int32_t *bias;       /* one for each channel, and so are these: */
  const int32_t *multiplier; /* 2^30 to 2^31 - 1 */
  const int32_t *shift;      /* to the left; below 0 to the right */
  int32_t input_zero, output_zero;
} Layer;

/* Write height x width x channels values to output. */
void depthwise(const Layer *layer, int8_t *output);

/* Four values as one word, from an address that need not be a multiple of 4. */
static inline uint32_t four(const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}

#endif
