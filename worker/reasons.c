#include "worker/reasons.h"

#include <assert.h>
#include <string.h>

struct repair {
	const char *repairer, *how;
};

#define CODE(name, code) [REASON_##name] = (code),
#define REPAIR(name, repairer, how) [REASON_##name] = {repairer, how},
#define MEANING(name, meaning) [REASON_##name] = (meaning),
#define HOW(how, text) {how, text},

static const char *const codes[REASON_COUNT] = {[REASON_NONE] = "", REASON_LIST(CODE)};

static const struct repair repairs[REASON_COUNT] = {
	[REASON_NONE] = {"", "ask_operator"}, REASON_REPAIR_LIST(REPAIR)};

static const char *const meanings[REASON_COUNT] = {
	[REASON_NONE] = "", REASON_MEANING_LIST(MEANING)};

static const struct {
	const char *how, *text;
} hows[] = {REPAIR_LIST(HOW)};

const char *reason_code(enum reason r)
{
	assert((unsigned)r < REASON_COUNT);
	return codes[r];
}

static int compare(struct slice code, const char *listed)
{
	size_t len = strlen(listed);
	int order = memcmp(code.data, listed, code.len < len ? code.len : len);

	return order ? order : (code.len > len) - (code.len < len);
}

enum reason reason_find(struct slice code)
{
	size_t low = REASON_NONE + 1, high = REASON_COUNT;

	if (!code.data)
		return REASON_NONE;
	while (low < high) { /* the list is sorted by code */
		size_t middle = low + (high - low) / 2;
		int order = compare(code, codes[middle]);

		if (!order)
			return (enum reason)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return REASON_NONE;
}

const char *reason_repairer(enum reason r)
{
	assert((unsigned)r < REASON_COUNT);
	return repairs[r].repairer;
}

const char *reason_how(enum reason r)
{
	assert((unsigned)r < REASON_COUNT);
	return repairs[r].how;
}

const char *reason_meaning(enum reason r)
{
	assert((unsigned)r < REASON_COUNT);
	return meanings[r];
}

const char *reason_repair(enum reason r)
{
	const char *how = reason_how(r);
	size_t at = 0;

	while (strcmp(hows[at].how, how) != 0) {
		at++;
		assert(at < ARRAY_LEN(hows)); /* the list is checked when it is made */
	}
	return hows[at].text;
}
