/* Keeps records until the phone takes them: up to 16 at a time, each of 1 to 120 samples.
   Commands from the sensor: 1, slot, length, samples: store; 2, slot: take, which prints the sum. */
#include "hal.h"
#include "print.h"

#define SLOTS 16
#define MOST_SAMPLES 120
#define HEAP_BYTES 4096

typedef struct Block {
  uint32_t size; /* of the bytes behind this header */
  uint32_t used;
} Block;

static uint32_t heap[HEAP_BYTES / 4];
static int16_t *records[SLOTS];
static int lengths[SLOTS];
static uint32_t stored;

static Block *after(Block *block) { return (Block *)((uint8_t *)(block + 1) + block->size); }

static int is_in_heap(const Block *block) { return (uint8_t *)block < (uint8_t *)heap + HEAP_BYTES; }

static void split(Block *block, uint32_t size) {
  if (block->size < size + 2 * sizeof(Block)) return;
  uint32_t rest = block->size - size - sizeof(Block);
  block->size = size;
  after(block)->size = rest;
  after(block)->used = 0;
}

static void *allocate(uint32_t size) {
  size = (size + 3) & ~3u;
  for (Block *block = (Block *)heap; is_in_heap(block); block = after(block)) {
    if (block->used || block->size < size) continue;
    split(block, size);
    block->used = 1;
    return block + 1;
  }
  return 0;
}

static void release(void *memory) { ((Block *)memory - 1)->used = 0; }

static int next(void) {
  int16_t sample = 0;
  hal_sense(&sample);
  return sample;
}

static void store(void) {
  int slot = next() & 15, length = next();
  int16_t *record = allocate((uint32_t)length * sizeof *record);
  for (int i = 0; i < length; i++) record[i] = (int16_t)next();
  records[slot] = record;
  lengths[slot] = length;
  stored++;
}

static void take(void) {
  int slot = next() & 15;
  int32_t sum = 0;
  for (int i = 0; i < lengths[slot]; i++) sum += records[slot][i];
  release(records[slot]);
  print_int(sum);
  print("\n");
}

int main(void) {
  int16_t command;
  ((Block *)heap)->size = HEAP_BYTES - sizeof(Block);
  while (hal_sense(&command)) {
    if (command == 1) store();
    if (command == 2) take();
  }
  print("stored ");
  print_unsigned(stored);
  print("\n");
  return 0;
}
