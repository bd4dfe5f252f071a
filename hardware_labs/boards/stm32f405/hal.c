/* STM32F405 (and the 407 of the Discovery board). Registers: ST's reference manual RM0090. */
#include "hal.h"

#include "registers.h"

#define RCC_CR 0x40023800u
#define RCC_PLLCFGR 0x40023804u
#define RCC_CFGR 0x40023808u
#define RCC_AHB1ENR 0x40023830u
#define RCC_APB1ENR 0x40023840u
#define RCC_APB2ENR 0x40023844u
#define FLASH_ACR 0x40023C00u
#define FLASH_KEYR 0x40023C04u
#define FLASH_SR 0x40023C0Cu
#define FLASH_CR 0x40023C10u
#define GPIOA_MODER 0x40020000u
#define GPIOA_AFRL 0x40020020u
#define GPIOB_PUPDR 0x4002040Cu
#define GPIOB_IDR 0x40020410u
#define USART2_SR 0x40004400u
#define USART2_DR 0x40004404u
#define USART2_BRR 0x40004408u
#define USART2_CR1 0x4000440Cu
#define ADC1_SR 0x40012000u
#define ADC1_CR2 0x40012008u
#define ADC1_SQR3 0x40012034u
#define ADC1_DR 0x4001204Cu
#define ADC_CCR 0x40012304u

#define RESET_HZ 16000000u
#define FULL_HZ 168000000u

/* The internal 16 MHz oscillator through the PLL: 16 / 16 * 336 / 2. The buses get a quarter and a
   half of it. If the PLL never locks, the core stays at 16 MHz. */
uint32_t hal_clock_start(void) {
#ifndef HAL_CLOCK_OF_RESET
  REGISTER(RCC_PLLCFGR) = 16u | 336u << 6 | 7u << 24;
  REGISTER(RCC_CR) |= 1u << 24;
  if (wait_for(RCC_CR, 1u << 25)) {
    REGISTER(FLASH_ACR) = 5u | 7u << 8; /* wait states; prefetch and both caches */
    REGISTER(RCC_CFGR) = 5u << 10 | 4u << 13;
    REGISTER(RCC_CFGR) |= 2u;
    if (wait_for(RCC_CFGR, 2u << 2)) return FULL_HZ;
  }
#endif
  return RESET_HZ;
}

static uint32_t serial_clock_hz(void) { return hal_clock_hz == FULL_HZ ? FULL_HZ / 4 : RESET_HZ; }

#define LEAD_OFF_PINS (1u << 0 | 1u << 1)

/* Serial port on PA2; sensor on PA1, the ADC's channel 1; lead off on PB0 and PB1, pulled down. */
void hal_start(void) {
  REGISTER(RCC_AHB1ENR) |= 1u | 1u << 1;
  REGISTER(RCC_APB1ENR) |= 1u << 17;
  REGISTER(RCC_APB2ENR) |= 1u << 8;
  REGISTER(GPIOA_MODER) = (REGISTER(GPIOA_MODER) & ~(15u << 2)) | 3u << 2 | 2u << 4;
  REGISTER(GPIOA_AFRL) = (REGISTER(GPIOA_AFRL) & ~(15u << 8)) | 7u << 8;
  REGISTER(GPIOB_PUPDR) = (REGISTER(GPIOB_PUPDR) & ~15u) | 10u;
  REGISTER(USART2_BRR) = (serial_clock_hz() + 115200 / 2) / 115200;
  REGISTER(USART2_CR1) = 1u << 13 | 1u << 3;
  REGISTER(ADC_CCR) = 1u << 16;
  REGISTER(ADC1_SQR3) = 1u;
  REGISTER(ADC1_CR2) = 1u;
}

void hal_put(char byte) {
  if (wait_for(USART2_SR, 1u << 7)) REGISTER(USART2_DR) = (unsigned char)byte;
}

int hal_sense(int16_t *sample) {
  REGISTER(ADC1_CR2) |= 1u << 30;
  if (!wait_for(ADC1_SR, 1u << 1)) return 0;
  *sample = (int16_t)REGISTER(ADC1_DR);
  return 1;
}

int hal_lead_off(void) { return (REGISTER(GPIOB_IDR) & LEAD_OFF_PINS) != 0; }

#define FLASH_START 0x08000000u
#define FLASH_PG 1u
#define FLASH_SER 2u
#define FLASH_WORDS (2u << 8)
#define FLASH_STRT (1u << 16)
#define FLASH_LOCK (1u << 31)
#define FLASH_ERRORS 0xF0u

static void flash_unlock(void) {
  REGISTER(FLASH_KEYR) = 0x45670123u;
  REGISTER(FLASH_KEYR) = 0xCDEF89ABu;
  REGISTER(FLASH_SR) = FLASH_ERRORS;
}

static int flash_done(void) {
  while (REGISTER(FLASH_SR) & 1u << 16) {
  }
  return REGISTER(FLASH_SR) & FLASH_ERRORS ? -1 : 0;
}

/* Lock again, and forget what the data cache remembers of the flash. */
static void flash_lock(void) {
  REGISTER(FLASH_CR) = FLASH_LOCK;
  uint32_t wanted = REGISTER(FLASH_ACR);
  REGISTER(FLASH_ACR) = wanted & ~(1u << 10);
  REGISTER(FLASH_ACR) = (wanted & ~(1u << 10)) | 1u << 12;
  REGISTER(FLASH_ACR) = wanted;
}

/* Sectors: four of 16 KiB, one of 64 KiB, seven of 128 KiB. */
static uint32_t sector_of(uint32_t address) {
  uint32_t offset = address - FLASH_START;
  if (offset < 0x10000u) return offset >> 14;
  return offset < 0x20000u ? 4 : 4 + (offset >> 17);
}

int hal_flash_erase(uint32_t address) {
  flash_unlock();
  REGISTER(FLASH_CR) = FLASH_SER | FLASH_WORDS | sector_of(address) << 3;
  REGISTER(FLASH_CR) |= FLASH_STRT;
  int failed = flash_done();
  flash_lock();
  return failed;
}

int hal_flash_write(uint32_t address, const void *bytes, size_t count) {
  const uint32_t *words = bytes;
  int failed = address % HAL_FLASH_UNIT || count % HAL_FLASH_UNIT ? -1 : 0;
  flash_unlock();
  REGISTER(FLASH_CR) = FLASH_PG | FLASH_WORDS;
  for (size_t i = 0; i < count / 4 && !failed; i++) {
    REGISTER(address + 4 * i) = words[i];
    failed = flash_done();
  }
  flash_lock();
  for (size_t i = 0; i < count / 4 && !failed; i++) {
    if (REGISTER(address + 4 * i) != words[i]) failed = -1;
  }
  return failed;
}
