/* Words where both ends are aligned, bytes otherwise. The empty asm keeps a compiler from taking
   a loop for the very function that contains it. */
#include "string.h"

#include <stdint.h>

#define KEEP_LOOP __asm volatile("")
typedef uint32_t __attribute__((may_alias)) Word;

static int aligned(const void *a, const void *b) { return (((uintptr_t)a | (uintptr_t)b) & 3) == 0; }

void *memcpy(void *to, const void *from, size_t count) {
  unsigned char *out = to;
  const unsigned char *in = from;
  if (aligned(to, from)) {
    for (; count >= 4; count -= 4, out += 4, in += 4) {
      KEEP_LOOP;
      *(Word *)out = *(const Word *)in;
    }
  }
  for (; count; count--) {
    KEEP_LOOP;
    *out++ = *in++;
  }
  return to;
}

void *memmove(void *to, const void *from, size_t count) {
  if ((uintptr_t)to - (uintptr_t)from >= count) return memcpy(to, from, count);
  unsigned char *out = to;
  const unsigned char *in = from;
  while (count--) {
    KEEP_LOOP;
    out[count] = in[count];
  }
  return to;
}

void *memset(void *to, int value, size_t count) {
  unsigned char *out = to;
  uint32_t word = (unsigned char)value * 0x01010101u;
  for (; count && ((uintptr_t)out & 3); count--) *out++ = (unsigned char)value;
  for (; count >= 4; count -= 4, out += 4) {
    KEEP_LOOP;
    *(Word *)out = word;
  }
  for (; count; count--) {
    KEEP_LOOP;
    *out++ = (unsigned char)value;
  }
  return to;
}

int memcmp(const void *a, const void *b, size_t count) {
  const unsigned char *left = a, *right = b;
  for (; count; count--, left++, right++) {
    if (*left != *right) return *left - *right;
  }
  return 0;
}
