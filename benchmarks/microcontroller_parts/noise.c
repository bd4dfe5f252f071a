/* Feeds a compiled model int8 noise that any computer can make again, from number FIRST up to, not
   with, LAST; prints a hash of each output. The first two inputs are all -128 and all 127. */
#include "model.h"
#include "print.h"

static uint32_t mixed(uint32_t x) {
  x *= 0x9E3779B1u;
  x ^= x >> 15;
  x *= 0x85EBCA77u;
  return x ^ x >> 13;
}

static void fill(int8_t *input, uint32_t number) {
  for (uint32_t i = 0; i < MODEL_INPUT_SIZE; i++) {
    int8_t noise = (int8_t)(mixed(number * MODEL_INPUT_SIZE + i) >> 24);
    input[i] = number == 0 ? -128 : number == 1 ? 127 : noise;
  }
}

/* FNV-1a, as Fowler, Noll and Vo give it. */
static uint32_t hash(const int8_t *values) {
  uint32_t sum = 2166136261u;
  for (int i = 0; i < MODEL_OUTPUT_SIZE; i++) sum = (sum ^ (uint8_t)values[i]) * 16777619u;
  return sum;
}

int main(void) {
  for (uint32_t number = FIRST; number < LAST; number++) {
    fill(model_input(), number);
    model_invoke();
    print_hex(hash(model_output()));
    print("\n");
  }
  return 0;
}
