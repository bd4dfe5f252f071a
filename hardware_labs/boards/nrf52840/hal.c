/* nRF52840 on the Arduino Nano 33 BLE Sense. Registers: Nordic's product specification. */
#include "hal.h"

#include "registers.h"

#define P1_OUTSET 0x50000808u
#define P1_IN 0x50000810u
#define P1_PIN_CNF(pin) (0x50000A00u + 4 * (pin))
#define P1_DIRSET 0x50000818u
#define UART_STARTTX 0x40002008u
#define UART_TXDRDY 0x4000211Cu
#define UART_ENABLE 0x40002500u
#define UART_PSELTXD 0x4000250Cu
#define UART_TXD 0x4000251Cu
#define UART_BAUDRATE 0x40002524u
#define SAADC_START 0x40007000u
#define SAADC_SAMPLE 0x40007004u
#define SAADC_STARTED 0x40007100u
#define SAADC_END 0x40007104u
#define SAADC_ENABLE 0x40007500u
#define SAADC_PSELP 0x40007510u
#define SAADC_CONFIG 0x40007518u
#define SAADC_RESOLUTION 0x400075F0u
#define SAADC_PTR 0x4000762Cu
#define SAADC_MAXCNT 0x40007630u
#define NVMC_READY 0x4001E400u
#define NVMC_CONFIG 0x4001E504u
#define NVMC_ERASEPAGE 0x4001E508u

#define TX_PIN (1u << 5 | 3u) /* port 1, pin 3 */
#define BAUD_115200 0x01D7E000u
#define AIN2 3u /* the board's A0 */

/* The board's D11 and D10. */
#define LEAD_OFF_PINS (1u << 1 | 1u << 2)
#define INPUT_PULLED_DOWN (1u << 2)

/* The core runs at 64 MHz from reset on. */
uint32_t hal_clock_start(void) { return 64000000u; }

static volatile int16_t converted;

void hal_start(void) {
  REGISTER(P1_OUTSET) = 1u << 3;
  REGISTER(P1_DIRSET) = 1u << 3;
  REGISTER(P1_PIN_CNF(1)) = INPUT_PULLED_DOWN;
  REGISTER(P1_PIN_CNF(2)) = INPUT_PULLED_DOWN;
  REGISTER(UART_PSELTXD) = TX_PIN;
  REGISTER(UART_BAUDRATE) = BAUD_115200;
  REGISTER(UART_ENABLE) = 4u;
  REGISTER(UART_STARTTX) = 1u;
  REGISTER(SAADC_RESOLUTION) = 2u; /* 12 bits */
  REGISTER(SAADC_PSELP) = AIN2;
  REGISTER(SAADC_CONFIG) = 2u << 16; /* 10 us; gain 1/6 of the internal reference */
  REGISTER(SAADC_PTR) = (uint32_t)&converted;
  REGISTER(SAADC_MAXCNT) = 1u;
  REGISTER(SAADC_ENABLE) = 1u;
}

void hal_put(char byte) {
  REGISTER(UART_TXDRDY) = 0;
  REGISTER(UART_TXD) = (unsigned char)byte;
  wait_for(UART_TXDRDY, 1u);
}

/* The converter writes into memory itself. */
int hal_sense(int16_t *sample) {
  REGISTER(SAADC_STARTED) = 0;
  REGISTER(SAADC_END) = 0;
  REGISTER(SAADC_START) = 1u;
  if (!wait_for(SAADC_STARTED, 1u)) return 0;
  REGISTER(SAADC_SAMPLE) = 1u;
  if (!wait_for(SAADC_END, 1u)) return 0;
  *sample = converted;
  return 1;
}

int hal_lead_off(void) { return (REGISTER(P1_IN) & LEAD_OFF_PINS) != 0; }

#define READ_ONLY 0u
#define WRITE 1u
#define ERASE 2u

static void flash_mode(uint32_t mode) {
  REGISTER(NVMC_CONFIG) = mode;
  while (!(REGISTER(NVMC_READY) & 1u)) {
  }
}

int hal_flash_erase(uint32_t address) {
  flash_mode(ERASE);
  REGISTER(NVMC_ERASEPAGE) = address & ~0xFFFu;
  flash_mode(READ_ONLY);
  return 0;
}

int hal_flash_write(uint32_t address, const void *bytes, size_t count) {
  const uint32_t *words = bytes;
  if (address % HAL_FLASH_UNIT || count % HAL_FLASH_UNIT) return -1;
  flash_mode(WRITE);
  for (size_t i = 0; i < count / 4; i++) {
    REGISTER(address + 4 * i) = words[i];
    while (!(REGISTER(NVMC_READY) & 1u)) {
    }
  }
  flash_mode(READ_ONLY);
  for (size_t i = 0; i < count / 4; i++) {
    if (REGISTER(address + 4 * i) != words[i]) return -1;
  }
  return 0;
}
