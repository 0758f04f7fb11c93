/*
 * common/pg.h - the door to libpq: one session, non-blocking, binary.
 *
 * Queries go out one after the other in the order given; each is prepared on
 * first use.  Parameters and results are in PostgreSQL's binary format.
 * Loop thread only.  https://www.postgresql.org/docs/15/libpq-async.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"

#define PG_OID_BOOL 16u
#define PG_OID_BYTEA 17u
#define PG_OID_INT8 20u
#define PG_OID_INT2 21u
#define PG_OID_INT4 23u
#define PG_OID_TEXT 25u
#define PG_OID_TIMESTAMPTZ 1184u
#define PG_OID_UUID 2950u

struct pg;      /* opaque: a session */
struct pg_rows; /* opaque: an answer */

/**
 * The err.code of a SQLSTATE: its five characters read in base 36, as in `err->code ==
 * pg_sqlstate("55P03")`. Kinds by class: 08 40 53 55 57 58 are TRANSIENT; 22 23 42 54 P0 REJECTED;
 * any other, and one that ends the session, FATAL.
 */
int pg_sqlstate(const char five[6]);

/** A statement; its address is its identity, so declare it static const. */
struct pg_statement {
	const char *name; /* short, for errors and as the prepared name */
	const char *sql;
};

/* ---- parameters: values in order; arrays and rows nest ---- */

#define PG_ARGS_MAX 32
struct pg_args { /* {0} is empty; keep it and pg_args_clear() it between uses */
	struct buf bytes;
	uint32_t types[PG_ARGS_MAX]; /* OIDs */
	size_t starts[PG_ARGS_MAX];
	int lengths[PG_ARGS_MAX]; /* -1: NULL */
	unsigned count;
	/* where values go: 0 parameter, 1 member of a row, 2 element of an array; with what is open
	 */
	unsigned depth;
	struct {
		unsigned mode;
		size_t length_at; /* where the byte length is patched; array of rows: also the
		                     dimension */
		size_t count_at;
		uint32_t items;
	} open[4];
};

void pg_args_clear(struct pg_args *a);
void pg_args_release(struct pg_args *a);
void pg_put_null(struct pg_args *a, uint32_t type);
void pg_put_bool(struct pg_args *a, bool v);
void pg_put_int2(struct pg_args *a, int16_t v);
void pg_put_int4(struct pg_args *a, int32_t v);
void pg_put_int8(struct pg_args *a, int64_t v);
/** A time of the wall clock in ms since 1970; 0 is NULL. */
void pg_put_time(struct pg_args *a, int64_t wall_ms);
void pg_put_uuid(struct pg_args *a, const unsigned char uuid[16]); /* NULL: SQL NULL */
/** Absent (data NULL) is SQL NULL. */
void pg_put_text(struct pg_args *a, struct slice s);
void pg_put_bytes(struct pg_args *a, struct slice s);
/** An array of @element_type; what is put until the end are its elements.  For an array of a
 * composite type give its OID and put each element between pg_row_open() (with its number of
 * members) and pg_row_close(). */
void pg_array_open(struct pg_args *a, uint32_t element_type, uint32_t array_type);
void pg_array_close(struct pg_args *a);
void pg_row_open(struct pg_args *a, unsigned members);
void pg_row_close(struct pg_args *a);

/* ---- the session ---- */

struct pg_handlers {
	void (*ready)(void *arg); /* connected */
	void (*lost)(void *arg,
		const struct err *err); /* could not connect, or the session is gone: every
	                                 * query still open was answered with an error before */
	void (*notified)(void *arg, const char *channel, const char *payload); /* may be NULL */
};

/** @rows NULL: it failed, @err says why (@err->text has the SQLSTATE; code = pg_sqlstate()).  @rows
 * is only valid inside. */
typedef void pg_answer_fn(void *arg, const struct pg_rows *rows, const struct err *err);

/** Starts to connect.  @conninfo: a URI or a conninfo string; @password may be NULL. */
struct pg *pg_open(struct loop *l, const char *conninfo, const char *password,
	const struct pg_handlers *handlers, void *arg);
/** Closes; open queries are dropped without an answer, handlers are not called again. */
void pg_close(struct pg *pg);
/** Queues a query; @args are copied.  ERR_FATAL reaches @fn when the session is lost. */
void pg_send(struct pg *pg, const struct pg_statement *st, const struct pg_args *args,
	pg_answer_fn *fn, void *arg);
/** Queries queued or under way. */
size_t pg_waiting(const struct pg *pg);
int pg_backend_pid(const struct pg *pg);

/* ---- answers: a type that does not fit is a bug; NULL is 0, false or absent ---- */

int pg_count(const struct pg_rows *r);
bool pg_null(const struct pg_rows *r, int row, int col);
struct slice pg_slice(const struct pg_rows *r, int row, int col); /* text, bytea: borrowed */
bool pg_bool(const struct pg_rows *r, int row, int col);
int16_t pg_int2(const struct pg_rows *r, int row, int col);
int32_t pg_int4(const struct pg_rows *r, int row, int col);
int64_t pg_int8(const struct pg_rows *r, int row, int col);
int64_t pg_time(const struct pg_rows *r, int row, int col); /* ms since 1970, 0 for NULL */
const unsigned char *pg_uuid(
	const struct pg_rows *r, int row, int col); /* 16 bytes, NULL for NULL */

struct pg_items { /* walks an array cell: pg_items(), then pg_item() until it is false */
	const char *at, *end;
	uint32_t left;
};
struct pg_items pg_items(const struct pg_rows *r, int row, int col); /* NULL: no items */
/** False at the end; @ret is absent for NULL. */
bool pg_item(struct pg_items *it, struct slice *ret);
int16_t pg_item_int2(struct slice s);
int32_t pg_item_int4(struct slice s);
int64_t pg_item_int8(struct slice s);

/* ---- for migrate and check: blocking ---- */

struct pg_sync; /* opaque */
must_check int pg_sync_open(
	const char *conninfo, const char *password, struct pg_sync **ret, struct err *err);
void pg_sync_close(struct pg_sync *s);
DEFINE_FREEP(struct pg_sync, pg_sync_close)
/** Runs one or several statements without parameters. */
must_check int pg_sync_run(struct pg_sync *s, const char *sql, struct err *err);
/** First column of the first row as text into @ret (owned, free()); NULL when there is no row or it
 * is NULL.  @params are texts. */
must_check int pg_sync_value(struct pg_sync *s, const char *sql, const char *const *params,
	int count, char **ret, struct err *err);
int pg_library_version(void);
