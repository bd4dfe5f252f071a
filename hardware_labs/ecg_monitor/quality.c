/* What is looked for, and with which limits:
     lead off   the front end's own line says so
     flat       0.25 s without a change of more than one unit (so all zeros too, but not the
                converter's highest value), or less than LEAST_RANGE within two seconds
     saturated  three samples of a block at the converter's ends: the top of a beat is cut off
     noise      the mean second difference of a block is above a tenth of the range of two seconds,
                which holds for mains hum and muscle, never for the waves of a heart
   Not recognised: slow movement of the electrodes that looks like a wave of the heart. */
#include "quality.h"

#include "string.h"

#define BLOCKS 32u       /* verdicts that are remembered */
#define RANGE_BLOCKS 8u  /* two seconds */
#define LEAST_RANGE 16
#define CUT_OFF 3u
#define NOISE_SHARE 10u

static struct {
  uint32_t now; /* samples since the start */
  uint8_t verdicts[BLOCKS];
  int16_t highest[RANGE_BLOCKS], lowest[RANGE_BLOCKS];
  int32_t last, before_last;
  int16_t held;       /* value that has not changed since held_for samples */
  uint32_t held_for;
  uint32_t at_rail, bends;
} s;

void quality_start(void) { memset(&s, 0, sizeof s); }

static uint32_t size_of(int32_t value) { return (uint32_t)(value < 0 ? -value : value); }

static void mark(uint32_t sample, Quality quality) {
  uint8_t *verdict = &s.verdicts[sample / QUALITY_BLOCK % BLOCKS];
  if (*verdict < quality) *verdict = (uint8_t)quality;
}

static void begin_block(int16_t sample) {
  uint32_t block = s.now / QUALITY_BLOCK;
  s.verdicts[block % BLOCKS] = GOOD;
  s.highest[block % RANGE_BLOCKS] = s.lowest[block % RANGE_BLOCKS] = sample;
  s.at_rail = s.bends = 0;
}

static uint32_t range(void) {
  int16_t highest = s.highest[0], lowest = s.lowest[0];
  for (uint32_t i = 1; i < RANGE_BLOCKS; i++) {
    if (s.highest[i] > highest) highest = s.highest[i];
    if (s.lowest[i] < lowest) lowest = s.lowest[i];
  }
  return (uint32_t)(highest - lowest);
}

static void end_block(void) {
  if (s.at_rail >= CUT_OFF) mark(s.now, SATURATED);
  /* Less may lie between two beats. */
  if (s.now / QUALITY_BLOCK + 1 < RANGE_BLOCKS) return;
  uint32_t found = range();
  if (s.bends * NOISE_SHARE > found * QUALITY_BLOCK) mark(s.now, NOISE);
  if (found < LEAST_RANGE) mark(s.now, FLAT);
}

static void follow_held(int16_t sample) {
  if (s.now && size_of(sample - s.held) <= 1) {
    s.held_for++;
  } else {
    s.held = sample;
    s.held_for = 1;
  }
  if (s.held_for < QUALITY_BLOCK || s.held >= RAIL_HIGH) return;
  mark(s.now, FLAT);
  mark(s.now + 1 - QUALITY_BLOCK, FLAT);
}

static void follow_block(int16_t sample) {
  uint32_t place = s.now / QUALITY_BLOCK % RANGE_BLOCKS;
  if (sample > s.highest[place]) s.highest[place] = sample;
  if (sample < s.lowest[place]) s.lowest[place] = sample;
  if (sample <= RAIL_LOW || sample >= RAIL_HIGH) s.at_rail++;
  if (s.now >= 2) s.bends += size_of(sample - 2 * s.last + s.before_last);
  s.before_last = s.last;
  s.last = sample;
}

int quality_add(int16_t sample, int lead_off) {
  if (s.now % QUALITY_BLOCK == 0) begin_block(sample);
  follow_block(sample);
  follow_held(sample);
  if (lead_off) mark(s.now, LEAD_OFF);
  if (s.now % QUALITY_BLOCK == QUALITY_BLOCK - 1) end_block();
  return ++s.now % QUALITY_BLOCK == 0;
}

Quality quality_between(uint32_t first_ago, uint32_t last_ago) {
  uint32_t last = (s.now - 1 - last_ago) / QUALITY_BLOCK, worst = GOOD;
  for (uint32_t block = (s.now - 1 - first_ago) / QUALITY_BLOCK; block <= last; block++) {
    uint32_t found = s.verdicts[block % BLOCKS];
    if (found > worst) worst = found;
  }
  return (Quality)worst;
}

const char *quality_name(Quality quality) {
  static const char *const names[] = {"good", "noise", "saturated", "flat line", "lead off"};
  return names[quality];
}
