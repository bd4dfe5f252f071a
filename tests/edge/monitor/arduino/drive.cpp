// Runs the sketch as the board would: setup once, then for each sample a tick, the thread, loop.
#include <cstring>

#include "ecg_monitor.ino"

int main() {
  char line[32];
  setup();
  while (std::fgets(line, sizeof line, stdin)) {
    if (line[0] == '+') {  // a tick while the thread is kept from running
      tick();
      continue;
    }
    electrodes_off = std::strncmp(line, "-", 1) == 0 && line[1] == '\n';
    next_sample = electrodes_off ? 0 : std::atoi(line);
    tick();
    if (!setjmp(thread_waits)) thread_body();
    loop();
  }
}
