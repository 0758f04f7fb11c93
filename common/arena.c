#include "common/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* AddressSanitizer sees what is used behind its end or after a clear. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WATCHED
#endif
#endif
#if (defined(WATCHED) || defined(__SANITIZE_ADDRESS__)) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#define forbid(p, size) ASAN_POISON_MEMORY_REGION(p, size)
#define permit(p, size) ASAN_UNPOISON_MEMORY_REGION(p, size)
#else
#define forbid(p, size) ((void)(p), (void)(size))
#define permit(p, size) ((void)(p), (void)(size))
#endif

/* Small first, since there is an arena for each event in flight; doubling, since some grow. */
#define FIRST_BLOCK 1024
#define LARGEST_BLOCK ((size_t)64 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size, used; /* of bytes[] */
	alignas(max_align_t) char bytes[];
};

static struct arena_block *block_new(size_t size)
{
	struct arena_block *block = mem_grow(NULL, sizeof(*block) + size);

	block->next = NULL;
	block->size = size;
	block->used = 0;
	forbid(block->bytes, size);
	return block;
}

/* The block to take @size bytes from. */
static struct arena_block *block_for(struct arena *a, size_t size)
{
	struct arena_block *head = a->head, *block;
	size_t next_size = FIRST_BLOCK;

	if (head && head->size - head->used >= size)
		return head;
	if (head)
		next_size = head->size < LARGEST_BLOCK / 2 ? 2 * head->size : LARGEST_BLOCK;
	if (size <= next_size / 2 || !head) {
		block = block_new(size > next_size ? size : next_size);
		block->next = head;
		a->head = block;
		return block;
	}
	/* a large one gets a block of its own behind the head, whose rest stays in use */
	block = block_new(size);
	block->next = head->next;
	head->next = block;
	return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_block *block;
	size_t taken;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	taken = size ? (size + align - 1) / align * align : align;
	block = block_for(a, taken);
	p = block->bytes + block->used;
	block->used += taken;
	a->used_bytes += taken;
	permit(p, size);
	return memset(p, 0, size);
}

char *arena_copy(struct arena *a, const void *data, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (len)
		memcpy(copy, data, len);
	return copy;
}

char *arena_text(struct arena *a, const char *text)
{
	return arena_copy(a, text, strlen(text));
}

struct slice arena_slice(struct arena *a, struct slice s)
{
	if (!s.data)
		return s;
	return (struct slice){arena_copy(a, s.data, s.len), s.len};
}

static void free_blocks(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;

		free(block);
		block = next;
	}
}

void arena_clear(struct arena *a)
{
	a->used_bytes = 0;
	if (!a->head)
		return;
	if (a->head->size > LARGEST_BLOCK) {
		arena_release(a);
		return;
	}
	free_blocks(a->head->next);
	a->head->next = NULL;
	a->head->used = 0;
	forbid(a->head->bytes, a->head->size);
}

void arena_release(struct arena *a)
{
	free_blocks(a->head);
	*a = (struct arena){0};
}
