/*
 * common/clock.h - what time it is, in milliseconds.
 *
 * Ages and time-outs inside the process use clock_age_ms() (CLOCK_BOOTTIME:
 * never stepped, counts a suspended machine).  Wall time is only written down.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"

int64_t clock_age_ms(void);
int64_t clock_wall_ms(void);
/** CPU time of the whole process, in microseconds. */
int64_t clock_cpu_us(void);

#define CLOCK_TEXT_SIZE 25 /* 2026-11-24T10:00:00.000Z and the NUL */
/** RFC 3339 in UTC with milliseconds. */
void clock_text(int64_t wall_ms, char ret_text[CLOCK_TEXT_SIZE]);
/** Reads RFC 3339 (any offset, any fraction; years 0001-9999); false when malformed.
 * https://www.rfc-editor.org/rfc/rfc3339#section-5.6 */
must_check bool clock_parse(const char *text, size_t len, int64_t *ret_wall_ms);
