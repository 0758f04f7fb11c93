#include "common/backoff.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t random_bits(void)
{
	uint64_t bits;
	ssize_t got;

	do
		got = getrandom(&bits, sizeof(bits), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(bits))
		abort();
	return bits;
}

int64_t backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms)
{
	int64_t most_ms = base_ms;

	for (; attempt > 1 && most_ms > 0 && most_ms < cap_ms; attempt--)
		most_ms = most_ms > INT64_MAX / 2 ? INT64_MAX : 2 * most_ms;
	if (most_ms > cap_ms)
		most_ms = cap_ms;
	if (most_ms <= 0)
		return 0;
	/* the remainder favours small values by less than most_ms in 2^64 */
	return (int64_t)(random_bits() % ((uint64_t)most_ms + 1));
}
