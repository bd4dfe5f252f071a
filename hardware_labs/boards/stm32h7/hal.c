/* STM32H743 on a Nucleo-144. Registers: ST's reference manual RM0433; caches: Armv7-M B3.2. */
#include "hal.h"

#include "registers.h"

#define RCC_CR 0x58024400u
#define RCC_CFGR 0x58024410u
#define RCC_D1CFGR 0x58024418u
#define RCC_D2CFGR 0x5802441Cu
#define RCC_D3CFGR 0x58024420u
#define RCC_PLLCKSELR 0x58024428u
#define RCC_PLLCFGR 0x5802442Cu
#define RCC_PLL1DIVR 0x58024430u
#define RCC_AHB1ENR 0x580244D8u
#define RCC_AHB4ENR 0x580244E0u
#define RCC_APB1LENR 0x580244E8u
#define PWR_CSR1 0x58024804u
#define PWR_CR3 0x5802480Cu
#define PWR_D3CR 0x58024818u
#define GPIOA_MODER 0x58020000u
#define GPIOA_PUPDR 0x5802000Cu
#define GPIOA_IDR 0x58020010u
#define GPIOD_MODER 0x58020C00u
#define GPIOD_AFRH 0x58020C24u
#define USART3_CR1 0x40004800u
#define USART3_BRR 0x4000480Cu
#define USART3_ISR 0x4000481Cu
#define USART3_TDR 0x40004828u
#define ADC1_ISR 0x40022000u
#define ADC1_CR 0x40022008u
#define ADC1_CFGR 0x4002200Cu
#define ADC1_PCSEL 0x4002201Cu
#define ADC1_SQR1 0x40022030u
#define ADC1_DR 0x40022040u
#define ADC12_CCR 0x40022308u
#define FLASH_ACR 0x52002000u

#define SCB_CCR 0xE000ED14u
#define SCB_CCSIDR 0xE000ED80u
#define SCB_CSSELR 0xE000ED84u
#define SCB_ICIALLU 0xE000EF50u
#define SCB_DCIMVAC 0xE000EF5Cu
#define SCB_DCISW 0xE000EF60u

#define RESET_HZ 64000000u
#define FULL_HZ 400000000u
#define BARRIER() __asm volatile("dsb\n\tisb" ::: "memory")

/* Both caches hold rubbish after reset: throw it away first, then turn them on. */
static void caches_start(void) {
  REGISTER(SCB_ICIALLU) = 0;
  REGISTER(SCB_CSSELR) = 0;
  BARRIER();
  uint32_t size = REGISTER(SCB_CCSIDR);
  for (uint32_t set = 0; set <= (size >> 13 & 0x7FFF); set++) {
    for (uint32_t way = 0; way <= (size >> 3 & 0x3FF); way++) {
      REGISTER(SCB_DCISW) = way << 30 | set << 5;
    }
  }
  BARRIER();
  REGISTER(SCB_CCR) |= 1u << 17 | 1u << 16;
  BARRIER();
}

/* The voltage that 400 MHz need, from the internal regulator. */
static int voltage_start(void) {
  REGISTER(PWR_CR3) = (REGISTER(PWR_CR3) & ~4u) | 2u;
  if (!wait_for(PWR_CSR1, 1u << 13)) return 0;
  REGISTER(PWR_D3CR) = 3u << 14;
  return wait_for(PWR_D3CR, 1u << 13);
}

/* The internal 64 MHz oscillator through PLL 1: 64 / 4 * 50 / 2. Memory gets a half of it, the
   peripherals a quarter. What does not start leaves the core at 64 MHz. */
static int pll_start(void) {
  REGISTER(RCC_PLLCKSELR) = 4u << 4;
  REGISTER(RCC_PLLCFGR) = 3u << 2 | 1u << 16;
  REGISTER(RCC_PLL1DIVR) = (50u - 1) | (2u - 1) << 9;
  REGISTER(RCC_CR) |= 1u << 24;
  if (!wait_for(RCC_CR, 1u << 25)) return 0;
  REGISTER(FLASH_ACR) = 2u | 2u << 4;
  REGISTER(RCC_D1CFGR) = 8u | 4u << 4;
  REGISTER(RCC_D2CFGR) = 4u << 4 | 4u << 8;
  REGISTER(RCC_D3CFGR) = 4u << 4;
  REGISTER(RCC_CFGR) |= 3u;
  return wait_for(RCC_CFGR, 3u << 3);
}

uint32_t hal_clock_start(void) {
  caches_start();
#ifndef HAL_CLOCK_OF_RESET
  if (voltage_start() && pll_start()) return FULL_HZ;
#endif
  return RESET_HZ;
}

#define LEAD_OFF_PINS (1u << 5 | 1u << 6)

/* Serial port on PD8; sensor on PA3, the ADC's channel 15, with 12 bits; lead off on PA5 and PA6,
   inputs pulled down. */
void hal_start(void) {
  uint32_t bus_hz = hal_clock_hz == FULL_HZ ? FULL_HZ / 4 : RESET_HZ;
  REGISTER(RCC_AHB4ENR) |= 1u | 1u << 3;
  REGISTER(RCC_AHB1ENR) |= 1u << 5;
  REGISTER(RCC_APB1LENR) |= 1u << 18;
  REGISTER(GPIOA_MODER) &= ~(15u << 10);
  REGISTER(GPIOA_PUPDR) = (REGISTER(GPIOA_PUPDR) & ~(15u << 10)) | 10u << 10;
  REGISTER(GPIOD_MODER) = (REGISTER(GPIOD_MODER) & ~(3u << 16)) | 2u << 16;
  REGISTER(GPIOD_AFRH) = (REGISTER(GPIOD_AFRH) & ~15u) | 7u;
  REGISTER(USART3_BRR) = (bus_hz + 115200 / 2) / 115200;
  REGISTER(USART3_CR1) = 1u | 1u << 3;
  REGISTER(ADC12_CCR) = 3u << 16;
  REGISTER(ADC1_CR) = 1u << 28; /* awake; the regulator needs 10 us */
  for (volatile int wait = 0; wait < 1000; wait++) {
  }
  REGISTER(ADC1_CFGR) = 2u << 2;
  REGISTER(ADC1_PCSEL) = 1u << 15;
  REGISTER(ADC1_SQR1) = 15u << 6;
  REGISTER(ADC1_CR) |= 1u;
  wait_for(ADC1_ISR, 1u);
}

void hal_put(char byte) {
  if (wait_for(USART3_ISR, 1u << 7)) REGISTER(USART3_TDR) = (unsigned char)byte;
}

int hal_sense(int16_t *sample) {
  REGISTER(ADC1_CR) |= 1u << 2;
  if (!wait_for(ADC1_ISR, 1u << 2)) return 0;
  *sample = (int16_t)REGISTER(ADC1_DR);
  return 1;
}

int hal_lead_off(void) { return (REGISTER(GPIOA_IDR) & LEAD_OFF_PINS) != 0; }

#define FLASH_START 0x08000000u
#define BANK_BYTES 0x100000u
#define KEYR(bank) (0x52002004u + (bank) * 0x100u)
#define CR(bank) (0x5200200Cu + (bank) * 0x100u)
#define SR(bank) (0x52002010u + (bank) * 0x100u)
#define CCR(bank) (0x52002014u + (bank) * 0x100u)
#define CR_LOCK 1u
#define CR_PG 2u
#define CR_SER 4u
#define CR_WORDS (2u << 4)
#define CR_START (1u << 7)
#define SR_BUSY 7u
#define SR_ERRORS (0x7EEu << 16)

static void flash_unlock(uint32_t bank) {
  REGISTER(KEYR(bank)) = 0x45670123u;
  REGISTER(KEYR(bank)) = 0xCDEF89ABu;
  REGISTER(CCR(bank)) = SR_ERRORS;
}

static int flash_done(uint32_t bank) {
  while (REGISTER(SR(bank)) & SR_BUSY) {
  }
  return REGISTER(SR(bank)) & SR_ERRORS ? -1 : 0;
}

static void flash_forget_cached(uint32_t address, size_t count) {
  for (size_t i = 0; i < count; i += 32) REGISTER(SCB_DCIMVAC) = address + i;
  BARRIER();
}

int hal_flash_erase(uint32_t address) {
  uint32_t bank = (address - FLASH_START) / BANK_BYTES;
  uint32_t sector = (address - FLASH_START) % BANK_BYTES >> 17;
  flash_unlock(bank);
  REGISTER(CR(bank)) = CR_SER | CR_WORDS | sector << 8;
  REGISTER(CR(bank)) |= CR_START;
  int failed = flash_done(bank);
  REGISTER(CR(bank)) = CR_LOCK;
  flash_forget_cached(address & ~0x1FFFFu, 0x20000u);
  return failed;
}

/* The flash takes 32 bytes at a time: eight words, one after the other. */
int hal_flash_write(uint32_t address, const void *bytes, size_t count) {
  uint32_t bank = (address - FLASH_START) / BANK_BYTES;
  const uint32_t *words = bytes;
  int failed = address % HAL_FLASH_UNIT || count % HAL_FLASH_UNIT ? -1 : 0;
  flash_unlock(bank);
  REGISTER(CR(bank)) = CR_PG | CR_WORDS;
  BARRIER();
  for (size_t i = 0; i < count / 4 && !failed; i++) {
    REGISTER(address + 4 * i) = words[i];
    if (i % 8 == 7) BARRIER();
    if (i % 8 == 7) failed = flash_done(bank);
  }
  REGISTER(CR(bank)) = CR_LOCK;
  flash_forget_cached(address, count);
  for (size_t i = 0; i < count / 4 && !failed; i++) {
    if (REGISTER(address + 4 * i) != words[i]) failed = -1;
  }
  return failed;
}
