/*
 * common/log.h - one line per event of note, logfmt or JSON, on standard error.
 *
 * Never a token, an e-mail address or a lead's field: ids and lengths.  Only
 * modules above the pure ones log; whoever handles an error logs it, once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *key;  /* NULL ends the list */
	const char *text; /* NULL: the number counts */
	int64_t number;
};

/* A function, since comparing an array such as err.text with NULL in place is a warning. */
static inline const char *log_text_(const char *text)
{
	return text ? text : "";
}

#define F_TEXT(key, text) ((struct log_field){key, log_text_(text), 0})
#define F_INT(key, number) ((struct log_field){key, NULL, number})

#define log_debug(...) log_write_(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write_(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write_(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write_(LOG_ERROR, __VA_ARGS__)
#define log_write_(level, msg, ...)                                                                \
	log_write(level, msg, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){NULL, NULL, 0}})

void log_setup(enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);
/** `time=… level=info msg="worker ready" key=value …`; thread safe, one write(2) a line. */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);
