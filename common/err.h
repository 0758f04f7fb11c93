/*
 * common/err.h - why a call failed, and what to do about it.
 *
 * Of fixed size, so that reporting never allocates.  The kind says what the
 * caller does; the text is one lower-case sentence without a full stop, and
 * never holds a token, an e-mail address or a payload.
 */
#pragma once

#include "common/base.h"

enum err_kind {
	ERR_NONE,
	ERR_TRANSIENT, /* back off and try again */
	ERR_REJECTED,  /* this input is refused; others go on */
	ERR_FATAL,     /* the session is over */
};

struct err {
	enum err_kind kind;
	int code; /* the origin's own: errno, CURLcode, rd_kafka_resp_err_t; 0 when it has none */
	char text[256];
};

/** Fills @err (which may be NULL) and returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *err, enum err_kind kind, int code, const char *fmt, ...) printf_like(4, 5);

/** Puts "what: " before the text already in @err; returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) printf_like(2, 3);
