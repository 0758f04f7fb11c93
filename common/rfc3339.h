/*
 * common/rfc3339.h - times as text.  Pure.
 *
 * https://www.rfc-editor.org/rfc/rfc3339#section-5.6
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"

#define RFC3339_SIZE 25 /* 2026-11-24T10:00:00.000Z and the NUL */
/** In UTC with milliseconds; what lies outside the years 1 to 9999 is written as the nearest
 * inside. */
void rfc3339_text(int64_t wall_ms, char ret_text[RFC3339_SIZE]);
/** Any offset, any fraction; false when malformed. */
must_check bool rfc3339_parse(const char *text, size_t len, int64_t *ret_wall_ms);
