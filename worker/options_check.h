/*
 * worker/options_check.h - what a table of keys cannot say: values that belong together.
 *
 * Private to options.  Pure.
 */
#pragma once

#include "worker/options.h"

/** Notes every fault in @o->config; the values themselves were read before. */
void options_check(struct options *o);
