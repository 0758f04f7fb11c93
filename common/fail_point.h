/*
 * common/fail_point.h - places where a test can make things go wrong.
 *
 * Only in builds with -Dfail_points=true; elsewhere every point is a constant
 * false and costs nothing.  Armed through the environment:
 * ONBEHALF_TEST_FAIL="<point>:<text>" meets each record that contains the text.
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"

enum fail_point {
	FAIL_DECODE_KILLS, /* decoding the record ends the process, as a bug would */
	FAIL_TICK_REFUSES, /* PostgreSQL refuses the tick with this event in it */
};

#ifdef ONBEHALF_FAIL_POINTS
/** True when the point is armed and @bytes contain its text. */
bool fail_point(enum fail_point point, struct slice bytes);
/** SIGKILL to ourselves, when the point is armed and @bytes contain its text. */
void fail_point_kill(enum fail_point point, struct slice bytes);
#else
static inline bool fail_point(enum fail_point point, struct slice bytes)
{
	(void)point;
	(void)bytes;
	return false;
}

static inline void fail_point_kill(enum fail_point point, struct slice bytes)
{
	(void)point;
	(void)bytes;
}
#endif
