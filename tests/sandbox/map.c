#include "map.h"

static uint64_t hash_of(const char *key)
{
	uint64_t hash = 14695981039346656037u;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return hash ^ (hash >> 29);
}

void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

/* The slot of @key, or the free one where it belongs. */
static struct map_slot *slot_of(const struct map *map, const char *key, uint64_t hash)
{
	size_t at = hash & (map->size - 1);

	while (map->slots[at].key &&
		(map->slots[at].hash != hash || strcmp(map->slots[at].key, key) != 0))
		at = (at + 1) & (map->size - 1);
	return &map->slots[at];
}

void *map_get(const struct map *map, const char *key)
{
	return map->size ? slot_of(map, key, hash_of(key))->value : NULL;
}

static void grow(struct map *map)
{
	struct map bigger = {.size = map->size ? map->size * 2 : 16, .count = map->count};

	bigger.slots = must(calloc(bigger.size, sizeof(*bigger.slots)));
	for (size_t i = 0; i < map->size; i++)
		if (map->slots[i].key)
			*slot_of(&bigger, map->slots[i].key, map->slots[i].hash) = map->slots[i];
	free(map->slots);
	*map = bigger;
}

void map_add(struct map *map, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	struct map_slot *slot;

	if ((map->count + 1) * 3 > map->size * 2)
		grow(map);
	slot = slot_of(map, key, hash);
	assert(!slot->key && value);
	*slot = (struct map_slot){.key = key, .value = value, .hash = hash};
	map->count++;
}

/* Moves later entries of the run into the hole, so that no look-up ends too early. */
static void close_gap(struct map *map, size_t hole)
{
	size_t mask = map->size - 1;

	for (size_t at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
		size_t home = map->slots[at].hash & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		map->slots[hole] = map->slots[at];
		map->slots[at] = (struct map_slot){0};
		hole = at;
	}
}

void *map_remove(struct map *map, const char *key)
{
	struct map_slot *slot;
	void *value;

	if (!map->size)
		return NULL;
	slot = slot_of(map, key, hash_of(key));
	if (!slot->key)
		return NULL;
	value = slot->value;
	*slot = (struct map_slot){0};
	map->count--;
	close_gap(map, (size_t)(slot - map->slots));
	return value;
}
