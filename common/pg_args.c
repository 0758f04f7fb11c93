#include "common/pg.h"

#include <assert.h>
#include <limits.h>

/*
 * Everything is in the format of the types' binary receive functions: array_recv(), record_recv().
 * https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/arrayfuncs.c
 */

enum { MODE_PARAMETER, MODE_ROW, MODE_ARRAY };

/* Before the number of elements: dimensions, flags, element type. */
#define ARRAY_HEAD 12
#define ARRAY_FLAGS_AT 4
#define EPOCH_2000_MS 946684800000

static unsigned mode(const struct pg_args *a)
{
	return a->depth ? a->open[a->depth - 1].mode : (unsigned)MODE_PARAMETER;
}

static void patch_be32(struct pg_args *a, size_t at, uint32_t v)
{
	unsigned char *p = (unsigned char *)a->bytes.data + at;

	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static uint32_t read_be32(const struct pg_args *a, size_t at)
{
	const unsigned char *p = (const unsigned char *)a->bytes.data + at;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Begins a value of @len bytes (-1: NULL), which the caller adds; an array patches it later. */
static void begin(struct pg_args *a, uint32_t type, int len)
{
	if (mode(a) == MODE_PARAMETER) {
		assert(a->count < PG_ARGS_MAX);
		a->types[a->count] = type;
		a->starts[a->count] = a->bytes.len;
		a->lengths[a->count++] = len;
		return;
	}
	a->open[a->depth - 1].items++;
	if (mode(a) == MODE_ROW)
		buf_add_be32(&a->bytes, type);
	else if (len < 0)
		patch_be32(a, a->open[a->depth - 1].count_at - ARRAY_HEAD + ARRAY_FLAGS_AT, 1);
	buf_add_be32(&a->bytes, (uint32_t)len);
}

void pg_args_clear(struct pg_args *a)
{
	buf_clear(&a->bytes);
	a->count = 0;
	a->depth = 0;
}

void pg_args_release(struct pg_args *a)
{
	buf_release(&a->bytes);
	*a = (struct pg_args){0};
}

void pg_put_null(struct pg_args *a, uint32_t type)
{
	begin(a, type, -1);
}

void pg_put_bool(struct pg_args *a, bool v)
{
	begin(a, PG_OID_BOOL, 1);
	buf_add_char(&a->bytes, v ? 1 : 0);
}

void pg_put_int2(struct pg_args *a, int16_t v)
{
	begin(a, PG_OID_INT2, 2);
	buf_add_be16(&a->bytes, (uint16_t)v);
}

void pg_put_int4(struct pg_args *a, int32_t v)
{
	begin(a, PG_OID_INT4, 4);
	buf_add_be32(&a->bytes, (uint32_t)v);
}

void pg_put_int8(struct pg_args *a, int64_t v)
{
	begin(a, PG_OID_INT8, 8);
	buf_add_be64(&a->bytes, (uint64_t)v);
}

void pg_put_time(struct pg_args *a, int64_t wall_ms)
{
	int64_t us;

	if (wall_ms == 0) {
		pg_put_null(a, PG_OID_TIMESTAMPTZ);
		return;
	}
	if (__builtin_sub_overflow(wall_ms, EPOCH_2000_MS, &us) ||
		__builtin_mul_overflow(us, 1000, &us))
		us = wall_ms < 0 ? INT64_MIN : INT64_MAX; /* -infinity, infinity */
	begin(a, PG_OID_TIMESTAMPTZ, 8);
	buf_add_be64(&a->bytes, (uint64_t)us);
}

void pg_put_uuid(struct pg_args *a, const unsigned char uuid[16])
{
	if (!uuid) {
		pg_put_null(a, PG_OID_UUID);
		return;
	}
	begin(a, PG_OID_UUID, 16);
	buf_add(&a->bytes, uuid, 16);
}

static void put_slice(struct pg_args *a, uint32_t type, struct slice s)
{
	if (!s.data) {
		pg_put_null(a, type);
		return;
	}
	assert(s.len <= INT_MAX);
	begin(a, type, (int)s.len);
	buf_add(&a->bytes, s.data, s.len);
}

void pg_put_text(struct pg_args *a, struct slice s)
{
	put_slice(a, PG_OID_TEXT, s);
}

void pg_put_bytes(struct pg_args *a, struct slice s)
{
	put_slice(a, PG_OID_BYTEA, s);
}

/* Opens what holds other values; its length follows when it is closed. */
static void open_value(struct pg_args *a, unsigned mode_inside, uint32_t type)
{
	begin(a, type, 0);
	assert(a->depth < ARRAY_LEN(a->open));
	a->open[a->depth].mode = mode_inside;
	a->open[a->depth].length_at = a->bytes.len - 4; /* of no meaning for a parameter */
	a->open[a->depth].items = 0;
	a->depth++;
}

static void close_value(struct pg_args *a, size_t start)
{
	size_t len = a->bytes.len - start;
	size_t length_at = a->open[--a->depth].length_at;

	assert(len <= INT_MAX);
	if (a->depth)
		patch_be32(a, length_at, (uint32_t)len);
	else
		a->lengths[a->count - 1] = (int)len;
}

void pg_array_open(struct pg_args *a, uint32_t element_type, uint32_t array_type)
{
	open_value(a, MODE_ARRAY, array_type);
	buf_add_be32(&a->bytes, 1); /* dimensions */
	buf_add_be32(&a->bytes, 0); /* flags: 1 when an element is NULL */
	buf_add_be32(&a->bytes, element_type);
	a->open[a->depth - 1].count_at = a->bytes.len;
	buf_add_be32(&a->bytes, 0); /* elements */
	buf_add_be32(&a->bytes, 1); /* lower bound */
}

void pg_array_close(struct pg_args *a)
{
	size_t count_at, start;
	uint32_t items;

	assert(mode(a) == MODE_ARRAY);
	count_at = a->open[a->depth - 1].count_at;
	items = a->open[a->depth - 1].items;
	start = count_at - ARRAY_HEAD;
	patch_be32(a, count_at, items);
	if (items == 0) { /* an empty array has no dimensions */
		patch_be32(a, start, 0);
		a->bytes.len = count_at;
		a->bytes.data[count_at] = '\0';
	}
	close_value(a, start);
}

void pg_row_open(struct pg_args *a, unsigned members)
{
	assert(mode(a) == MODE_ARRAY); /* nowhere else is its type known */
	open_value(a, MODE_ROW, 0);
	a->open[a->depth - 1].count_at = a->bytes.len;
	buf_add_be32(&a->bytes, members);
}

void pg_row_close(struct pg_args *a)
{
	size_t count_at;

	assert(mode(a) == MODE_ROW);
	count_at = a->open[a->depth - 1].count_at;
	assert(read_be32(a, count_at) == a->open[a->depth - 1].items);
	close_value(a, count_at);
}
