/* What an application may ask of a board. Each board's hal.c answers it in its own way. */
#ifndef HAL_H
#define HAL_H

#include <stddef.h>
#include <stdint.h>

/* Set the clock; return its frequency in Hz. Called before main, before memory is set up. */
uint32_t hal_clock_start(void);
/* The frequency in Hz at which the core runs. */
extern uint32_t hal_clock_hz;

/* Start serial port and sensor. Called before main. */
void hal_start(void);

/* Send one byte to the serial port; wait until there is room. */
void hal_put(char byte);

/* Read the next sample of the sensor. Return 1, or 0 if none came: the sensor has stopped. */
int hal_sense(int16_t *sample);

/* Return 1 while the sensor's front end says that an electrode has come off, else 0; 0 also where
   its line is not wired. */
int hal_lead_off(void);

/* Erase the flash sector that holds an address to 0xFF. Return 0, or -1 if that failed. */
int hal_flash_erase(uint32_t address);

/* Write into erased flash: HAL_FLASH_UNIT bytes, or a multiple of it, at a multiple of it.
   Return 0, or -1 if the flash does not hold these bytes afterwards. */
int hal_flash_write(uint32_t address, const void *bytes, size_t count);
#define HAL_FLASH_UNIT 32u

#endif
