/*
 * worker/ledger_private.h - shared by the parts of worker/ledger.
 */
#pragma once

#include "worker/ledger.h"

#define LEDGER_OID_INT2_ARRAY 1005u
#define LEDGER_OID_INT4_ARRAY 1007u
#define LEDGER_OID_INT8_ARRAY 1016u
#define LEDGER_OID_UUID_ARRAY 2951u
#define LEDGER_OID_TIMESTAMPTZ_ARRAY 1185u

enum {
	TYPE_PROGRESS,
	TYPE_SIGNAL,
	TYPE_ANSWER,
	TYPE_ENDED,
	TYPE_PARK,
	TYPE_EVENT,
	TYPE_CALL,
	LEDGER_TYPES
};

struct ledger {
	struct pg *pg;
	struct pg_args args; /* reused */
	struct ledger_session session;
	struct ledger_handlers handlers;
	void *arg;
	bool over;
	struct {
		uint32_t row, array; /* OIDs */
	} types[LEDGER_TYPES];
};
