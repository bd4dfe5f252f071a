// A stand-in for Arduino's core, so that the sketch runs on this machine: samples come from
// standard input, one a line; "-" is one with the electrodes off, "+" one for which nobody has
// time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

enum { HIGH = 1, LOW = 0, INPUT_PULLDOWN = 2, A0 = 14 };

inline int next_sample = 0, electrodes_off = 0;

inline int analogRead(int pin) { return pin == A0 ? next_sample : 0; }
inline int digitalRead(int pin) { return pin == 10 && electrodes_off ? HIGH : LOW; }
inline void pinMode(int, int) {}
inline void analogReadResolution(int bits) {
  if (bits != 12) std::abort();
}
inline void delay(int) { std::exit(3); }  // only after what cannot be mended

struct SerialPort {
  void begin(long) {}
  void write(char byte) { std::putchar(byte); }
};
inline SerialPort Serial;
