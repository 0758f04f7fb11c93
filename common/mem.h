/*
 * common/mem.h - memory that is there, or the process ends.
 *
 * An empty heap aborts, so nothing here returns NULL.  Free with free().
 */
#pragma once

#include <stddef.h>

#include "common/base.h"

/** Zeroed; the caller owns it. */
void *mem_new(size_t size);
/** As realloc(); @p may be NULL.  What is added is not zeroed. */
void *mem_grow(void *p, size_t size);
/** A copy the caller owns; NULL stays NULL. */
char *mem_text(const char *text);
/** A NUL-terminated copy the caller owns; NULL when @s is absent. */
char *mem_slice_text(struct slice s);
/** printf() into memory the caller owns. */
char *mem_textf(const char *fmt, ...) printf_like(1, 2);
/** The freed_by() form of free() for texts. */
void mem_freep(char **p);
