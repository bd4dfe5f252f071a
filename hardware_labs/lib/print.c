#include "print.h"

#include "hal.h"

void print(const char *text) {
  while (*text) hal_put(*text++);
}

static void print_digits(uint32_t value, int least) {
  char digits[10];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while ((value /= 10) || count < least);
  while (count) hal_put(digits[--count]);
}

void print_unsigned(uint32_t value) { print_digits(value, 1); }

void print_int(int32_t value) {
  if (value < 0) hal_put('-');
  print_unsigned(value < 0 ? 0u - (uint32_t)value : (uint32_t)value);
}

void print_hex(uint32_t value) {
  print("0x");
  for (int shift = 28; shift >= 0; shift -= 4) hal_put("0123456789abcdef"[value >> shift & 15]);
}

void print_float(float value, int decimals) {
  const float largest = 4294967040.0f; /* of the floats below 2^32 */
  uint32_t unit = 1;
  if (value != value) {
    print("nan");
    return;
  }
  if (value < 0) {
    hal_put('-');
    value = -value;
  }
  if (value >= largest) {
    print(value > 3.4028235e38f ? "inf" : "big");
    return;
  }
  for (int i = 0; i < decimals; i++) unit *= 10;
  uint32_t whole = (uint32_t)value;
  uint32_t rest = (uint32_t)((value - (float)whole) * (float)unit + 0.5f);
  if (rest >= unit) {
    whole++;
    rest -= unit;
  }
  print_unsigned(whole);
  if (decimals) {
    hal_put('.');
    print_digits(rest, decimals);
  }
}
