/* Prints a greeting and the mean of what the sensor gives. */
#include "hal.h"
#include "print.h"

int main(void) {
  int32_t sum = 0, count = 0;
  int16_t sample;

  print("hello from a core at ");
  print_unsigned(hal_clock_hz / 1000000);
  print(" MHz\n");
  while (count < 1000 && hal_sense(&sample)) {
    sum += sample;
    count++;
  }
  print_int(count);
  print(" samples");
  if (count) {
    print(", mean ");
    print_float((float)sum / (float)count, 2);
  }
  print("\n");
  return 0;
}
