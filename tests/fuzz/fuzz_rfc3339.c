/* Times as text: what is read is what timegm() says, and text and number go round. */
#include "tests/fuzz/fuzz.h"

#include <time.h>

#include "common/rfc3339.h"

#define FIRST_MS (INT64_C(-62135596800000))
#define LAST_MS INT64_C(253402300799999)

static int number_at(const char *text, size_t at, size_t len)
{
	int value = 0;

	for (size_t i = at; i < at + len; i++) {
		assert(text[i] >= '0' && text[i] <= '9');
		value = 10 * value + (text[i] - '0');
	}
	return value;
}

static int64_t offset_s_of(struct slice s)
{
	char last = s.data[s.len - 1];
	int64_t offset_s;

	if (last == 'Z' || last == 'z')
		return 0;
	offset_s = 3600 * number_at(s.data, s.len - 5, 2) + 60 * number_at(s.data, s.len - 2, 2);
	return s.data[s.len - 6] == '-' ? -offset_s : offset_s;
}

/* The same by another way: the C library's calendar.  @s is well-formed. */
static int64_t seconds_of(struct slice s)
{
	int second = number_at(s.data, 17, 2);
	struct tm tm = {.tm_year = number_at(s.data, 0, 4) - 1900,
		.tm_mon = number_at(s.data, 5, 2) - 1,
		.tm_mday = number_at(s.data, 8, 2),
		.tm_hour = number_at(s.data, 11, 2),
		.tm_min = number_at(s.data, 14, 2),
		.tm_sec = second == 60 ? 59 : second};
	int day = tm.tm_mday;
	int64_t seconds = timegm(&tm);

	assert(tm.tm_mday == day); /* no 30th of February */
	return seconds - offset_s_of(s);
}

static void check_round(int64_t ms)
{
	char text[RFC3339_SIZE], again[RFC3339_SIZE];
	int64_t wanted = ms < FIRST_MS ? FIRST_MS : ms > LAST_MS ? LAST_MS : ms, back;

	memset(text, '#', sizeof(text));
	rfc3339_text(ms, text);
	assert(strlen(text) == RFC3339_SIZE - 1);
	assert(rfc3339_parse(text, strlen(text), &back) && back == wanted);
	rfc3339_text(back, again);
	assert(!strcmp(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = {(const char *)data, size};
	freed_by(fuzz_freep) char *copy = fuzz_copy(input);
	int64_t ms = -7, number = 0;

	if (rfc3339_parse(copy, size, &ms)) {
		int64_t within = ms - seconds_of(input) * 1000;

		assert(within >= 0 && within <= 999);
		assert(ms >= FIRST_MS && ms <= LAST_MS);
		check_round(ms);
	} else {
		assert(ms == -7); /* written on success only */
	}
	memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));
	check_round(number);
	return 0;
}
