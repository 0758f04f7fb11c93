/*
 * tests/sandbox/map.h - a hash table from text to a pointer.
 *
 * The map borrows keys and values: a key lives as long as its entry.
 * {0} is an empty map.
 */
#pragma once

#include "base.h"

struct map_slot {
	const char *key; /* NULL: free */
	void *value;
	uint64_t hash;
};

struct map {
	struct map_slot *slots;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

/** Frees the table; keys and values are their owner's. */
void map_release(struct map *map);
/** The value of @key, or NULL. */
void *map_get(const struct map *map, const char *key);
/** Sets @key, which must not be there yet. */
void map_add(struct map *map, const char *key, void *value);
/** Takes @key out and returns its value; NULL when it was not there. */
void *map_remove(struct map *map, const char *key);
