/* Printing to the serial port without a C library. */
#ifndef PRINT_H
#define PRINT_H

#include <stdint.h>

void print(const char *text);
void print_int(int32_t value);
void print_unsigned(uint32_t value);
void print_hex(uint32_t value); /* eight digits after 0x */

/* Print value with this many decimals (0 to 6), rounded half away from zero; "nan", "inf", and
   "big" from 4294967040 on. */
void print_float(float value, int decimals);

#endif
