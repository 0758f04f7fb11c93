/*
 * tests/sandbox/journal.h - what happened: every write applied, every call received.
 *
 * Two rings in memory; the oldest entries go when one is full.  Numbers start at
 * 1 and never repeat within a world.  Called with the world's mutex held.
 */
#pragma once

#include <stdio.h>

#include "base.h"
#include "buf.h"
#include "ids.h"

struct blob;
struct org;

/* In the place of a status: the connection was cut, before or after applying. */
#define STATUS_CUT_BEFORE -1
#define STATUS_CUT_AFTER -2

enum service { SERVICE_NONE, SERVICE_SALESFORCE, SERVICE_PIPES, SERVICE_USERINFO, SERVICE_TOKEN };
#define N_SERVICES 5

struct write {
	const struct org *org;
	const char *user_id;    /* interned, NULL when there is none */
	const char *sf_user_id; /* interned */
	const char *host;       /* interned */
	struct blob *fields;    /* one use owned */
	uint64_t call;
	int64_t at_ms;
	char lead_id[ID_SIZE];
	bool created;
};

struct call_line {
	char *method;
	char *path;
	const struct org *org; /* NULL: not known */
	int64_t at_ms;
	enum service service;
	int records;         /* -1: not a write */
	const char *user_id; /* interned; NULL: not known */
	int status;          /* 0: not answered yet, or STATUS_CUT_… */
};

struct journal {
	struct write *writes;
	struct call_line *calls;
	size_t max;         /* entries a ring */
	size_t size_writes; /* allocated now */
	size_t size_calls;
	uint64_t n_writes; /* number of the newest entry */
	uint64_t n_calls;
	uint64_t by_service[N_SERVICES];
	uint64_t created;
	uint64_t updated;
	FILE *file; /* also written here, a line an entry; NULL: not */
};

/** Opens the rings; @path may be NULL.  -1 when the file cannot be opened. */
must_check int journal_init(struct journal *journal, size_t max, const char *path);
void journal_clear(struct journal *journal);
void journal_release(struct journal *journal);

/** Takes the use of @write->fields. */
void journal_write(struct journal *journal, const struct write *write);
/** Copies method and path.  Returns the number of the call. */
uint64_t journal_call(struct journal *journal, const struct call_line *line);
/** Notes the answer of call @number: an HTTP status, or STATUS_CUT_…. */
void journal_answer(struct journal *journal, uint64_t number, int status);
/** To the file, if there is one. */
void journal_flush(struct journal *journal);

/** The oldest number still kept. */
uint64_t journal_first_write(const struct journal *journal);
uint64_t journal_first_call(const struct journal *journal);
/** One entry as JSON text. */
void journal_write_json(const struct journal *journal, uint64_t number, struct buf *ret);
void journal_call_json(const struct journal *journal, uint64_t number, struct buf *ret);
const char *service_name(enum service service);
