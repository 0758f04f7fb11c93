/*
 * worker/worker.h - a worker's life: sessions begin, take partitions, drain, end and begin again.
 *
 * When a session loses its database session, or finds a partition of its
 * taken, all of it is discarded and begins again as after a crash; only the
 * group membership is kept.  There is no other recovery path.
 */
#pragma once

#include "worker/options.h"

/** Runs until SIGTERM or SIGINT, then drains; the exit code. */
int worker_run(const struct options *o);
