/*
 * common/clock.h - what time it is, in milliseconds.
 *
 * Ages and time-outs inside the process use clock_age_ms() (CLOCK_BOOTTIME:
 * never stepped, counts a suspended machine).  Wall time is only written down.
 */
#pragma once

#include <stdint.h>

int64_t clock_age_ms(void);
int64_t clock_wall_ms(void);
/** CPU time of the whole process, in microseconds. */
int64_t clock_cpu_us(void);
