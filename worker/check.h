/*
 * worker/check.h - tries the configuration and everything it names, and says what to do.
 *
 * Blocks; each check is bounded to a few seconds, and goes on after one that failed.
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"
#include "worker/options.h"

/** Prints a line a check, "ok" or "FAIL" first.  @o has no faults.  False when any failed. */
must_check bool check_run(const struct options *o);
