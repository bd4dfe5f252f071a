/* The line of the stm32f405: pin PA0, which is the blue button of the Discovery board. */
#ifndef ALARM_LINE_H
#define ALARM_LINE_H

/* Let a rising edge interrupt. */
void alarm_line_start(void);
/* The application's: called in the handler at each edge. */
void alarm_line_rose(void);

#endif
