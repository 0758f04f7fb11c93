/*
 * worker/migrate.h - brings a database to the schema that this binary knows.
 *
 * One migrator at a time (a session's advisory lock); each migration in one
 * transaction with its row of gov.migration; then, every time, the reasons of
 * this release.  Blocks; says on standard output what it did.  Forward only.
 */
#pragma once

#include "common/base.h"
#include "common/err.h"

/** @password may be NULL.  Called again it does nothing.  -1: what was committed before the fault
 * stays. */
must_check int migrate_run(const char *conninfo, const char *password, struct err *err);
