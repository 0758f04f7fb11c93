/*
 * worker/migrations.h - the migrations of sql/, compiled in by sql/embed.py.
 *
 * Numbers are 1, 2, 3 ... without gaps, so the last number is their count and
 * the version of the schema that this binary knows.  Pure.
 */
#pragma once

struct migration {
	int number;
	const char *name;     /* "roles" */
	const char *checksum; /* SHA-256 of the file, hexadecimal */
	const char *text;
};

extern const struct migration migrations[];
extern const int migrations_count;

/* Fills gov.reason from schemas/reasons.json; repeated it changes nothing, and it removes nothing.
 */
extern const char migrations_reasons[];
