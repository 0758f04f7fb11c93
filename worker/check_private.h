/*
 * worker/check_private.h - what the files of worker/check share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/loop.h"
#include "worker/options.h"

#define CHECK_LIMIT_MS 5000 /* for each check */

struct check {
	const struct options *options;
	struct loop *loop;
	bool kafka_answers;
	bool failed; /* any did */
};

/** One line on standard output; what failed says what to do. */
void check_ok(const char *name, const char *fmt, ...) printf_like(2, 3);
void check_fail(struct check *c, const char *name, const char *fmt, ...) printf_like(3, 4);
/** Turns the loop until *@done; false when the limit came first. */
must_check bool check_wait(struct check *c, const bool *done);

void check_kafka(struct check *c);
void check_topics(struct check *c);
/** Two lines: postgresql, schema. */
void check_postgres(struct check *c);
/** The login host, and a line for each client. */
void check_http(struct check *c);
