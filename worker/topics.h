/*
 * worker/topics.h - the topics, before anything is read or written.
 *
 * Outcomes go to the partition number of their input, so the counts are equal.
 */
#pragma once

#include <stdint.h>

#include "common/base.h"
#include "common/err.h"
#include "worker/options.h"

/** Creates what is missing where the configuration allows it, and compares the counts.  Blocks. */
must_check int topics_ensure(const struct options *o, int64_t timeout_ms, struct err *err);
