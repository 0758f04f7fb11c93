/*
 * worker/window.h - the position of one partition: the lowest offset still needed.
 *
 * Leads end out of order, but a position is one number.  The ring gives out
 * the end of the unbroken run of ended leads: a crash may repeat, never skip.
 * Pure: no I/O, no clock; loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"

struct window; /* opaque */
enum window_answer { WINDOW_OK, WINDOW_FULL };

/** Room for @size leads in flight (> 0), beginning at offset @position.  The caller owns the
 * result; never NULL. */
struct window *window_new(size_t size, int64_t position);
void window_free(struct window *w);
DEFINE_FREEP(struct window, window_free)

/**
 * Notes that the lead at @offset began; offsets must rise, gaps are fine.
 * WINDOW_FULL notes nothing: pause the partition.  It is an answer, not an error.
 * https://kafka.apache.org/documentation/#semantics
 */
must_check enum window_answer window_begin(struct window *w, int64_t offset);

/**
 * Notes that the record at @offset is needed no more; an unknown offset, or one ended twice, is a
 * bug. True when the position moved.
 */
bool window_end(struct window *w, int64_t offset);

/** The NEXT offset to read after a restart. */
int64_t window_position(const struct window *w);
/** Leads begun and not ended. */
size_t window_open(const struct window *w);
/** Room left before WINDOW_FULL; ended leads behind an open one still take room. */
size_t window_room(const struct window *w);
