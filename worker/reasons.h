/*
 * worker/reasons.h - why something happened, from one closed list.
 *
 * schemas/reasons.json is that list; this enum, the table gov.reason and the
 * page of docs are made from it.  Numbers may change with a release: only the
 * codes are stored and published.  Pure.
 */
#pragma once

#include "common/base.h"
#include "reasons_list.h" /* made by schemas/reasons.py into <build>/schemas */

#define REASON_MEMBER_(name, code) REASON_##name,
enum reason { REASON_NONE, REASON_LIST(REASON_MEMBER_) REASON_COUNT };
#undef REASON_MEMBER_

/** "field_too_long"; "" for REASON_NONE. */
const char *reason_code(enum reason r);
/** REASON_NONE for what is not on the list, and for absent. */
enum reason reason_find(struct slice code);
/** Who can repair it: user, app, admin, operator, nobody ("" for REASON_NONE). */
const char *reason_repairer(enum reason r);
/** What it takes, a stable word such as "consent"; "ask_operator" for REASON_NONE. */
const char *reason_how(enum reason r);
/** A sentence ("" for REASON_NONE). */
const char *reason_meaning(enum reason r);
/** What reason_how() asks for, in words. */
const char *reason_repair(enum reason r);
