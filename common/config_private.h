/*
 * common/config_private.h - what the files of common/config share; for them alone.
 *
 * config: the caller's door.  config_file, config_env: from lines and variables
 * to settings.  config_value: one value, read and written.  config_print: all
 * of them written.  config_nearest: "did you mean".
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/config.h"
#include "common/map.h"

#define CONFIG_NAME_BYTES                                                                          \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"                                     \
	"0123456789_.-"

struct config_place {
	int line;             /* in the file; 0: not from there */
	const char *variable; /* of the environment; NULL: not from there */
};

struct config_setting { /* where a value came from */
	char *name;     /* in full: "client.main.slug" */
	int line;       /* as in a place */
	char *variable; /* as in a place, owned */
};

struct config_origin {
	char *path;          /* NULL: none */
	char *dir;           /* of the file, absolute; NULL: none */
	struct map settings; /* struct config_setting by name */
};

/* ---- config ---- */

/** "section.key", or "key" at the top level (@section NULL); the caller owns it. */
char *config_full_name(const char *section, const char *key);
/** The part behind "client.*." when @key belongs to the named sections, else NULL. */
const char *config_named_tail(const struct config *c, const struct config_key *key);
/** NULL when nothing set it. */
const struct config_setting *config_setting(const struct config *c, const char *full_name);
void config_note(struct config *c, struct config_place place, const char *fmt, ...)
	printf_like(3, 4);
/** Sets @key of @section ("client.main" must have begun), or notes why not. */
void config_put(struct config *c, void *values, const char *section, const char *key,
	struct config_place place, const char *text);
/** Begins a named section, or goes on with it. */
void config_begin_named(struct config *c, const char *name, int line);

/* ---- config_file, config_env ---- */

/** False when it could not be read. */
bool config_file_read(struct config *c, void *values);
void config_env_read(struct config *c, char **environment, void *values);
/** "ONBEHALF_CLIENT_MAIN_SLUG"; the caller owns it. */
char *config_env_name(const char *section, const char *key);

/* ---- config_value ---- */

/** Replaces what @member holds.  NULL, or what is wrong (owned), and @member stays. */
must_check char *config_value_read(
	const struct config_key *key, const char *dir, const char *text, void *member);
/** As it is written, without quotes. */
void config_value_write(const struct config_key *key, const void *member, struct buf *out);
/** False for a text that is NULL. */
bool config_value_exists(const struct config_key *key, const void *member);
void config_value_release(const struct config_key *key, void *member);
/** Zeroes and frees: it may be a secret. */
void config_text_free(char *text);

/* ---- config_nearest ---- */

struct config_nearest { /* {.wanted = …} */
	const char *wanted;
	char *name; /* NULL: nothing near was offered */
	size_t distance;
};

void config_nearest_offer(struct config_nearest *n, const char *name);
void config_nearest_release(struct config_nearest *n);
/** printf() arguments for "%s%s%s" behind a fault: "; did you mean NAME?" or nothing. */
#define CONFIG_NEAREST_ARGS(n)                                                                     \
	(n).name ? "; did you mean " : "", (n).name ? (n).name : "", (n).name ? "?" : ""
