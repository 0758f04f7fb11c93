#include "common/fail_point.h"

#ifdef ONBEHALF_FAIL_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* One table of names. */
static const char *const names[] = {
	[FAIL_DECODE_KILLS] = "decode_kills",
	[FAIL_TICK_REFUSES] = "tick_refuses",
};

bool fail_point(enum fail_point point, struct slice bytes)
{
	const char *armed = getenv("ONBEHALF_TEST_FAIL");
	size_t len = strlen(names[point]);

	if (!armed || !bytes.data || strncmp(armed, names[point], len) != 0 || armed[len] != ':')
		return false;
	return memmem(bytes.data, bytes.len, armed + len + 1, strlen(armed + len + 1)) != NULL;
}

void fail_point_kill(enum fail_point point, struct slice bytes)
{
	if (fail_point(point, bytes))
		(void)raise(SIGKILL);
}

#endif
