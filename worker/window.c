#include "worker/window.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

#define FIRST_CAPACITY 64

struct place {
	int64_t offset;
	bool ended;
};

struct window {
	struct place *ring; /* `used` places from `head` on, offsets rising */
	size_t size;        /* the promise */
	size_t capacity;    /* what the ring has now: grows up to size */
	size_t head, used, open;
	int64_t position;
};

struct window *window_new(size_t size, int64_t position)
{
	struct window *w = mem_new(sizeof(*w));

	assert(size > 0 && size <= SIZE_MAX / sizeof(struct place) / 2 && position >= 0);
	w->size = size;
	w->position = position;
	return w;
}

void window_free(struct window *w)
{
	if (!w)
		return;
	free(w->ring);
	free(w);
}

static struct place *place_at(const struct window *w, size_t index)
{
	size_t at = w->head + index;

	return &w->ring[at < w->capacity ? at : at - w->capacity];
}

/* The places move to the front of a larger ring. */
static void grow(struct window *w)
{
	size_t capacity = w->capacity ? w->capacity * 2 : FIRST_CAPACITY;
	struct place *ring;

	if (capacity > w->size)
		capacity = w->size;
	ring = mem_new(capacity * sizeof(*ring));
	for (size_t i = 0; i < w->used; i++)
		ring[i] = *place_at(w, i);
	free(w->ring);
	w->ring = ring;
	w->capacity = capacity;
	w->head = 0;
}

enum window_answer window_begin(struct window *w, int64_t offset)
{
	assert(offset >= w->position && offset < INT64_MAX);
	assert(!w->used || offset > place_at(w, w->used - 1)->offset);
	if (w->used == w->size)
		return WINDOW_FULL;
	if (w->used == w->capacity)
		grow(w);
	*place_at(w, w->used++) = (struct place){.offset = offset};
	w->open++;
	return WINDOW_OK;
}

/*
 * Without gaps a place is as far from the head as its offset; gaps only bring
 * it nearer, so that the guess bounds the search.
 */
static struct place *find(const struct window *w, int64_t offset)
{
	size_t low = 0, high; /* the place is in [low, high] */
	uint64_t guess;

	assert(w->used && offset >= place_at(w, 0)->offset);
	guess = (uint64_t)offset - (uint64_t)place_at(w, 0)->offset;
	high = guess < w->used ? (size_t)guess : w->used - 1;
	if (place_at(w, high)->offset == offset)
		return place_at(w, high);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (place_at(w, middle)->offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	assert(place_at(w, low)->offset == offset);
	return place_at(w, low);
}

bool window_end(struct window *w, int64_t offset)
{
	struct place *place = find(w, offset);
	int64_t before = w->position;

	assert(!place->ended);
	place->ended = true;
	w->open--;
	while (w->used && place_at(w, 0)->ended) {
		w->position = place_at(w, 0)->offset + 1;
		w->head = w->head + 1 < w->capacity ? w->head + 1 : 0;
		w->used--;
	}
	return w->position != before;
}

int64_t window_position(const struct window *w)
{
	return w->position;
}

size_t window_open(const struct window *w)
{
	return w->open;
}

size_t window_room(const struct window *w)
{
	return w->size - w->used;
}
