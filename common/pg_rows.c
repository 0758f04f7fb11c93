#include "common/pg_private.h"

#include <assert.h>
#include <string.h>

#define EPOCH_2000_MS 946684800000

static uint64_t be(const char *from, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v << 8 | (unsigned char)from[i];
	return v;
}

/* A value of exactly @len bytes; NULL for NULL. */
static const char *fixed(const struct pg_rows *r, int row, int col, int len)
{
	if (PQgetisnull(r->result, row, col))
		return NULL;
	assert(PQgetlength(r->result, row, col) == len);
	return PQgetvalue(r->result, row, col);
}

int pg_count(const struct pg_rows *r)
{
	return PQntuples(r->result);
}

bool pg_null(const struct pg_rows *r, int row, int col)
{
	return PQgetisnull(r->result, row, col);
}

struct slice pg_slice(const struct pg_rows *r, int row, int col)
{
	if (PQgetisnull(r->result, row, col))
		return (struct slice){0};
	return (struct slice){
		PQgetvalue(r->result, row, col), (size_t)PQgetlength(r->result, row, col)};
}

bool pg_bool(const struct pg_rows *r, int row, int col)
{
	const char *at = fixed(r, row, col, 1);

	return at && *at;
}

int16_t pg_int2(const struct pg_rows *r, int row, int col)
{
	const char *at = fixed(r, row, col, 2);

	if (!at)
		return 0;
	return (int16_t)be(at, 2);
}

int32_t pg_int4(const struct pg_rows *r, int row, int col)
{
	const char *at = fixed(r, row, col, 4);

	return at ? (int32_t)be(at, 4) : 0;
}

int64_t pg_int8(const struct pg_rows *r, int row, int col)
{
	const char *at = fixed(r, row, col, 8);

	return at ? (int64_t)be(at, 8) : 0;
}

int64_t pg_time(const struct pg_rows *r, int row, int col)
{
	const char *at = fixed(r, row, col, 8);
	int64_t us = at ? (int64_t)be(at, 8) : 0;

	if (!at)
		return 0;
	if (us == INT64_MAX || us == INT64_MIN) /* infinity, -infinity */
		return us;
	return us / 1000 - (us % 1000 < 0) + EPOCH_2000_MS;
}

const unsigned char *pg_uuid(const struct pg_rows *r, int row, int col)
{
	return (const unsigned char *)fixed(r, row, col, 16);
}

/* ---- arrays ---- */

struct pg_items pg_items(const struct pg_rows *r, int row, int col)
{
	struct slice cell = pg_slice(r, row, col);
	struct pg_items it = {0};
	uint64_t dimensions;

	if (!cell.data)
		return it;
	assert(cell.len >= 12);
	dimensions = be(cell.data, 4);
	assert(dimensions <= 1);
	if (dimensions == 0)
		return it;
	assert(cell.len >= 20);
	it.at = cell.data + 20; /* dimensions, flags, type, elements, lower bound */
	it.end = cell.data + cell.len;
	it.left = (uint32_t)be(cell.data + 12, 4);
	return it;
}

bool pg_item(struct pg_items *it, struct slice *ret)
{
	int32_t len;

	if (it->left == 0)
		return false;
	assert(it->end - it->at >= 4);
	len = (int32_t)be(it->at, 4);
	it->at += 4;
	it->left--;
	if (len < 0) {
		*ret = (struct slice){0};
		return true;
	}
	assert(it->end - it->at >= len);
	*ret = (struct slice){it->at, (size_t)len};
	it->at += len;
	return true;
}

int16_t pg_item_int2(struct slice s)
{
	assert(!s.data || s.len == 2);
	if (!s.data)
		return 0;
	return (int16_t)be(s.data, 2);
}

int32_t pg_item_int4(struct slice s)
{
	assert(!s.data || s.len == 4);
	return s.data ? (int32_t)be(s.data, 4) : 0;
}

int64_t pg_item_int8(struct slice s)
{
	assert(!s.data || s.len == 8);
	return s.data ? (int64_t)be(s.data, 8) : 0;
}
