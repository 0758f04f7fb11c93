/*
 * common/map.h - finds a pointer by the bytes of its key.
 *
 * The map borrows keys and values: a key's bytes live inside its value and
 * outlive the entry.  Hashing is seeded per process, since keys come from outside.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"

struct map_slot;
struct map { /* {0} is empty */
	struct map_slot *slots;
	size_t cap, used, dead;
};

/** NULL when there is none. */
void *map_get(const struct map *m, const void *key, size_t len);
/** Adds, or replaces what the key had (then @key replaces the old key's bytes as well). */
void map_put(struct map *m, const void *key, size_t len, void *value);
/** Takes the entry out; its value, or NULL. */
void *map_remove(struct map *m, const void *key, size_t len);
size_t map_count(const struct map *m);
/** Walks in no order: start with *@pos = 0; NULL at the end.  Entries may be removed on the way,
 * none added. */
void *map_next(const struct map *m, size_t *pos);
void map_release(struct map *m);
