/*
 * common/config.h - one file, one table, all faults at once.
 *
 * The caller describes its keys in a table; config_load() reads the file,
 * applies the environment (ONBEHALF_SECTION_KEY) and fills the caller's
 * struct.  Every fault is noted with file and line; none stops the reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base.h"
#include "common/buf.h"

enum config_type {
	CONFIG_TEXT,     /* char *, owned */
	CONFIG_WORD,     /* char *, one of `words` */
	CONFIG_BOOL,     /* bool: true/false, yes/no, on/off */
	CONFIG_INT,      /* int64_t in [min, max] */
	CONFIG_DURATION, /* int64_t ms in [min, max]: 500ms, 5s, 2min, 1h, 7d */
	CONFIG_SIZE,     /* int64_t bytes in [min, max]: 4096, 64kB, 1MB */
	CONFIG_FILE,     /* char *, owned; a relative path counts from the configuration file */
};

struct config_key {
	const char *name; /* "postgres.url"; a top-level key has no dot; "client.*.kind" in a named
	                     section */
	enum config_type type;
	size_t offset; /* of the member in the caller's struct (or in the named section's) */
	const char
		*preset; /* default as it would be written; NULL: none, the member stays 0/NULL */
	int64_t min, max;
	const char *words; /* "development|production" */
	const char *doc;   /* one sentence */
	bool required;
	bool secret; /* masked when printed */
};

struct config_pair { /* a passed-through property */
	char *name, *value;
	bool secret;
};

struct config_section { /* one [client.<name>] */
	char *name;
	void *values; /* of named_size bytes */
	int line;
};

struct config {
	const struct config_key *keys;
	size_t key_count;
	const char *pass_section;  /* "kafka": unknown keys there are kept as pairs; NULL: none */
	const char *named_section; /* "client"; NULL: none */
	size_t named_size;

	struct config_pair *pairs;
	size_t pair_count;
	struct config_section *sections;
	size_t section_count;
	char **faults; /* "onbehalf.conf:12: lanes.batch_leads: 500 is not between 1 and 200" */
	size_t fault_count;
	/* private: where each value came from, for printing */
	struct config_origin *origins;
};

/**
 * Fills @values (zeroed by the caller) from @path (NULL: environment only) and @environment (as
 * environ). False when there are faults; @c and @values are to be released either way. Environment
 * names: dots and dashes become '_', upper case; for the pass section ONBEHALF_KAFKA_SASL_PASSWORD
 * is kafka.sasl.password.
 */
must_check bool config_load(struct config *c, const char *path, char **environment, void *values);
/** Notes a fault found later by the caller; @key names the line when it was set in the file. */
void config_fault(struct config *c, const char *key, const char *fmt, ...) printf_like(3, 4);
/** The effective values as a file with each key's doc, default and origin; secrets (and
 * pass-through *password*, *secret*, *key*) masked. */
void config_print(const struct config *c, const void *values, FILE *out);
/** Frees what config_load allocated, inside @values too. */
void config_release(struct config *c, void *values);
