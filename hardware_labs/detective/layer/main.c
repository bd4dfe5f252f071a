/* Tells normal (0) from dangerous (1) beats: the last layer of a network, 16 features to 2 scores.
   The class with the higher score is printed; 0 if both are the same. */
#include "hal.h"
#include "print.h"

#define FEATURES 16
#define CLASSES 2

static const int8_t weights[CLASSES][FEATURES] = {
    {12, -7, 33, 5, -21, 40, 9, -3, 18, 27, -14, 6, 31, -9, 22, 11},
    {35, 14, 20, -6, 44, 51, -12, 38, 29, -5, 47, 23, 16, 33, -8, 26},
};
static const int32_t bias[CLASSES] = {900, -700};
static int8_t features[FEATURES];

static int fill(void) {
  int16_t sample;
  int count = 0;
  while (count < FEATURES && hal_sense(&sample)) features[count++] = (int8_t)sample;
  return count;
}

static int32_t sum_of(int class) {
  int32_t sum = bias[class];
  for (int i = 0; i < FEATURES; i++) sum += features[i] * weights[class][i];
  return sum;
}

static int8_t clamp(int32_t value) {
  if (value > 127) return 127;
  if (value < -128) return -128;
  return (int8_t)value;
}

static int32_t score_of(int class) { return clamp((sum_of(class) + 16) >> 5); }

int main(void) {
  while (fill() == FEATURES) {
    print_int(score_of(1) > score_of(0));
    print("\n");
  }
  return 0;
}
