#include "common/map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/mem.h"

#define FIRST_CAP 16 /* a power of two, as every cap is */

struct map_slot { /* value NULL: never used since the last rebuild; &dead_mark: removed */
	uint64_t hash;
	const void *key;
	size_t len;
	void *value;
};

static char dead_mark;
static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_fill(void)
{
	ssize_t got;

	do
		got = getrandom(seed, sizeof(seed), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(seed))
		abort();
}

static uint64_t rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3, whose seed keeps chosen keys from colliding.
 * https://www.aumasson.jp/siphash/siphash.pdf */
static uint64_t hash_of(const void *key, size_t len)
{
	uint64_t v[4], word, tail = (uint64_t)len << 56;
	const unsigned char *at = key;

	pthread_once(&seed_once, seed_fill);
	v[0] = seed[0] ^ 0x736f6d6570736575;
	v[1] = seed[1] ^ 0x646f72616e646f6d;
	v[2] = seed[0] ^ 0x6c7967656e657261;
	v[3] = seed[1] ^ 0x7465646279746573;
	for (; len >= 8; len -= 8, at += 8) {
		memcpy(&word, at, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < len; i++)
		tail |= (uint64_t)at[i] << (8 * i);
	v[3] ^= tail;
	sip_round(v);
	v[0] ^= tail;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot of the key; NULL when there is none. */
static struct map_slot *slot_of(const struct map *m, uint64_t hash, const void *key, size_t len)
{
	if (!m->cap)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *slot = &m->slots[i];

		if (!slot->value)
			return NULL;
		if (slot->value != &dead_mark && slot->hash == hash && slot->len == len &&
			(!len || memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

static void insert(struct map *m, struct map_slot entry)
{
	size_t i = entry.hash & (m->cap - 1);

	while (m->slots[i].value && m->slots[i].value != &dead_mark)
		i = (i + 1) & (m->cap - 1);
	if (m->slots[i].value)
		m->dead--;
	m->slots[i] = entry;
	m->used++;
}

/* Room for one more with at most three quarters taken, counting what was removed. */
static void make_room(struct map *m)
{
	struct map_slot *old = m->slots;
	size_t old_cap = m->cap, cap = FIRST_CAP;

	if (m->cap && m->used + m->dead + 1 <= m->cap / 4 * 3)
		return;
	while (cap / 2 < m->used + 1)
		cap *= 2;
	if (cap > SIZE_MAX / 2 / sizeof(*old))
		abort();
	*m = (struct map){.slots = mem_new(cap * sizeof(*old)), .cap = cap};
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].value && old[i].value != &dead_mark)
			insert(m, old[i]);
	free(old);
}

void *map_get(const struct map *m, const void *key, size_t len)
{
	struct map_slot *slot = m->used ? slot_of(m, hash_of(key, len), key, len) : NULL;

	return slot ? slot->value : NULL;
}

void map_put(struct map *m, const void *key, size_t len, void *value)
{
	struct map_slot entry = {hash_of(key, len), key, len, value};
	struct map_slot *slot = slot_of(m, entry.hash, key, len);

	assert(value);
	if (slot) {
		*slot = entry;
		return;
	}
	make_room(m);
	insert(m, entry);
}

void *map_remove(struct map *m, const void *key, size_t len)
{
	struct map_slot *slot = m->used ? slot_of(m, hash_of(key, len), key, len) : NULL;
	void *value;

	if (!slot)
		return NULL;
	value = slot->value;
	m->used--;
	if (m->slots[((size_t)(slot - m->slots) + 1) & (m->cap - 1)].value) {
		slot->value = &dead_mark; /* a key behind it may have passed here */
		m->dead++;
	} else {
		slot->value = NULL;
	}
	return value;
}

size_t map_count(const struct map *m)
{
	return m->used;
}

void *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->cap) {
		void *value = m->slots[(*pos)++].value;

		if (value && value != &dead_mark)
			return value;
	}
	return NULL;
}

void map_release(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}
