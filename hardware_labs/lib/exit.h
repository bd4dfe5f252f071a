#ifndef EXIT_H
#define EXIT_H

/* End the firmware with a status, 0 for success. */
void exit_with(int status) __attribute__((noreturn));

#endif
