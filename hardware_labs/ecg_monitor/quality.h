/* Whether the signal can be judged at all. */
#ifndef QUALITY_H
#define QUALITY_H

#include <stdint.h>

#define QUALITY_BLOCK 90u /* samples, a quarter of a second, that are judged together */

/* In order of rank: of two faults at once the higher one is reported. */
typedef enum { GOOD, NOISE, SATURATED, FLAT, LEAD_OFF } Quality;

/* The highest and the lowest value that a 12-bit converter gives. */
#define RAIL_LOW 0
#define RAIL_HIGH 4095

void quality_start(void);

/* Take the next sample, and whether the front end says that an electrode has come off. Return 1 at
   the end of a block. */
int quality_add(int16_t sample, int lead_off);

/* The worst of a stretch from first to last sample, so many samples ago; the last QUALITY_BLOCK
   samples are not fully judged yet. Up to eight seconds are remembered. */
Quality quality_between(uint32_t first_ago, uint32_t last_ago);

/* In words, for the serial port. */
const char *quality_name(Quality quality);

#endif
