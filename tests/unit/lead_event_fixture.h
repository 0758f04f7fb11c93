/* What the tests of lead_event and lead_fields share.  For one test program each: all static. */
#pragma once

#include "worker/lead_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"

#define ATTRIBUTES "\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\",\"id\":\"i\""
#define LEAD "{\"LastName\":\"L\",\"Company\":\"C\"}"
#define DATA "{\"user_id\":\"u\",\"lead\":" LEAD "}"
#define EVENT "{" ATTRIBUTES ",\"data\":" DATA "}"

static struct secret_ring *ring;
static struct arena arena;

static const struct lead_header structured[] = {
	{SLICE("Content-Type"), SLICE("application/cloudevents+json; charset=UTF-8")}};

static const struct lead_header binary[] = {
	{SLICE("ce_specversion"), SLICE("1.0")},
	{SLICE("ce_type"), SLICE("lead.create")},
	{SLICE("ce_source"), SLICE("s")},
	{SLICE("ce_id"), SLICE("i")},
	{SLICE("content-type"), SLICE("application/json")},
};

static inline struct slice text(const char *s)
{
	return (struct slice){s, strlen(s)};
}

static inline struct lead_event read_record(
	struct slice value, const struct lead_header *headers, size_t count)
{
	struct lead_record record = {value, headers, count};
	/* exactly as long as the value, so that a byte too far is seen */
	char *copy = value.data ? malloc(value.len + (value.len == 0)) : NULL;
	struct lead_event event;

	if (copy) {
		memcpy(copy, value.data, value.len);
		record.value.data = copy;
	}
	lead_event_read(&record, ring, &arena, &event);
	if (copy) {
		memset(copy, '#', value.len); /* nothing may point there */
		free(copy);
	}
	return event;
}

static inline struct lead_event read_event(const char *value)
{
	return read_record(text(value), structured, 1);
}

static inline void assert_slice(struct slice got, const char *wanted)
{
	if (!wanted) {
		assert_null(got.data);
		return;
	}
	assert_non_null(got.data);
	assert_int_equal(got.len, strlen(wanted));
	assert_memory_equal(got.data, wanted, got.len);
}

static inline void assert_verdict(const struct lead_event *got, enum lead_verdict verdict,
	enum reason reason, const char *path, const char *what)
{
	if (got->verdict != verdict || got->reason != reason || strcmp(got->path, path) != 0)
		print_error("%s: %d %s at %s, not %s at %s\n", what, got->verdict,
			reason_code(got->reason), got->path, reason_code(reason), path);
	assert_int_equal(got->verdict, verdict);
	assert_int_equal(got->reason, reason);
	assert_string_equal(got->path, path);
	assert_slice(verdict == LEAD_OK ? (struct slice){0} : got->fields, NULL);
	if (verdict == LEAD_INVALID)
		assert_true(!got->source.data && !got->id.data && !got->user_id.data &&
			    !got->organization_id.data && !got->field.data);
}

static inline int set_up(void **state)
{
	char path[] = "/tmp/onbehalf-test-key-XXXXXX";
	int fd = mkstemp(path);
	struct err err = {0};

	(void)state;
	if (fd < 0 || dprintf(fd, "test %064d\n", 7) < 0 || close(fd) < 0 || secret_start(&err) ||
		secret_ring_open(path, &ring, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	unlink(path);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	secret_ring_free(ring);
	arena_release(&arena);
	return 0;
}
