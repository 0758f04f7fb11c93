/*
 * tests/sandbox/ids.h - Salesforce record ids: 15 characters and a 3 character check.
 *
 * Pure.
 */
#pragma once

#include "base.h"

#define ID15 15
#define ID18 18
#define ID_SIZE (ID18 + 1)

/** Writes the 18 character form of the 15 characters @id15. */
void id_to18(const char *id15, char ret_id[ID_SIZE]);
/** True for 15 characters of the alphabet, or 18 whose check is right. */
must_check bool id_is_valid(const char *id);
/**
 * Writes the id with @number in the key space of @prefix ("00Q"); ids rise with
 * @number, as text and as 15 or 18 characters alike.
 */
void id_make(const char *prefix, uint64_t number, char ret_id[ID_SIZE]);
/** True when @a and @b (15 or 18 characters) name the same record; case matters. */
must_check bool id_same(const char *a, const char *b);
