/*
 * Answers of the token sources: "#STATUS o" (o: the header Sfdc-OAuth-Error) and the body; 200
 * without that line.
 */
#include "tests/fuzz/fuzz.h"

#include <strings.h>

#include "worker/binding.h"
#include "worker/sf_answers.h"

static void check_pipes(const struct sf_answer *a, const struct pipes_answer *got)
{
	assert(got->class >= PIPES_OK && got->class <= PIPES_RETRY);
	assert(got->reason < REASON_COUNT);
	assert((got->class == PIPES_OK) == (got->reason == REASON_NONE));
	assert((got->class == PIPES_OK) == (got->token.data != NULL));
	assert(got->expires_wall_ms >= 0);
	if (a->status != 200)
		assert(got->class != PIPES_OK && got->class != PIPES_REMOVED);
	if (got->class == PIPES_OK) {
		assert(got->token.len && fuzz_count(a->body, "true"));
		for (size_t i = 0; i < got->token.len; i++) /* it becomes a header */
			assert(got->token.data[i] > ' ' && got->token.data[i] < 0x7f);
	} else {
		assert(!got->token.len && !got->expires_wall_ms);
	}
}

static void check_id(const char id[19], const char *prefix)
{
	char again[SF_ID18 + 1];

	assert(memchr(id, '\0', 19) == id + SF_ID18 && !strncmp(id, prefix, 3));
	assert(binding_id18((struct slice){id, SF_ID18}, again) && !strcmp(id, again));
}

static void check_userinfo(const struct sf_answer *a, const struct userinfo_answer *got)
{
	struct slice url = got->instance_url;

	assert(got->class == SF_CREATED || got->class == SF_REFRESH || got->class == SF_RETRY ||
		got->class == SF_CONFIG);
	if (got->class != SF_CREATED) {
		assert(!got->org_id[0] && !got->user_id[0] && !url.data);
		return;
	}
	assert(a->status == 200);
	check_id(got->org_id, "00D");
	check_id(got->user_id, "005");
	if (!url.data)
		return;
	assert(url.len > 7 &&
		(!strncasecmp(url.data, "https://", 8) || !strncasecmp(url.data, "http://", 7)));
	assert(!memchr(url.data + 8, '/', url.len - 8) && !memchr(url.data, '?', url.len) &&
		!memchr(url.data, '#', url.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size}, head;
	struct sf_answer a = {.status = 200};
	freed_by(arena_release) struct arena arena = {0};
	struct pipes_answer pipes;
	struct userinfo_answer userinfo;
	char *copy;

	if (fuzz_head(&rest, &head)) {
		a.status = fuzz_number(&head, 1000);
		a.oauth_1703 = fuzz_count(head, "o");
	}
	a.body = (struct slice){copy = fuzz_copy(rest), rest.len};
	memset(&pipes, 0xa5, sizeof(pipes)); /* what is not set shows */
	memset(&userinfo, 0xa5, sizeof(userinfo));
	sf_answers_pipes(&a, &arena, &pipes);
	sf_answers_userinfo(&a, &arena, &userinfo);
	free(copy); /* nothing may point there */
	a.body = rest;
	check_pipes(&a, &pipes);
	check_userinfo(&a, &userinfo);
	return 0;
}
