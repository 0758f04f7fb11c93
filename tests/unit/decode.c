/*
 * tests/unit/decode.c - the decoder as a filter: records in, a line each out.
 *
 * For tests that are not written in C.  A record on standard input is the number
 * of its headers, each header's name and value, and the record's value; every
 * number and length has four bytes, big-endian, and a length of 0xffffffff
 * stands for null.  A line is: verdict, reason, path ("-" for none), key, digest
 * and fields; the last three for what could be read.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "worker/lead_event.h"

#define HEADERS_MAX 64

static bool take_number(uint32_t *ret)
{
	unsigned char bytes[4];

	if (fread(bytes, 1, sizeof(bytes), stdin) != sizeof(bytes))
		return false;
	*ret = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
	return true;
}

/* Exactly as long as it says, so that the sanitizers see a byte too far. */
static struct slice take_bytes(void)
{
	uint32_t len = 0;
	char *bytes;

	if (!take_number(&len) || len == UINT32_MAX)
		return (struct slice){0};
	bytes = malloc(len ? len : 1);
	assert(bytes && fread(bytes, 1, len, stdin) == len);
	return (struct slice){bytes, len};
}

static void drop(struct slice s)
{
	free((void *)(uintptr_t)s.data);
}

static void print(const struct lead_event *event)
{
	static const char *const verdicts[] = {
		[LEAD_OK] = "ok", [LEAD_REJECTED] = "rejected", [LEAD_INVALID] = "invalid"};
	freed_by(buf_release) struct buf line = {0};

	buf_addf(&line, "%s %s %s", verdicts[event->verdict],
		event->reason == REASON_NONE ? "-" : reason_code(event->reason),
		event->path[0] ? event->path : "-");
	if (event->verdict != LEAD_INVALID) {
		buf_add_char(&line, ' ');
		buf_add_hex(&line, event->key, sizeof(event->key));
		buf_add_char(&line, ' ');
		buf_add_hex(&line, event->digest, sizeof(event->digest));
	}
	if (event->verdict == LEAD_OK) {
		buf_add_char(&line, ' ');
		buf_add(&line, event->fields.data, event->fields.len);
	}
	puts(line.data);
}

static void decode(uint32_t header_count, const struct secret_ring *ring)
{
	struct lead_header headers[HEADERS_MAX];
	struct lead_record record = {.headers = headers, .header_count = header_count};
	struct arena arena = {0};
	struct lead_event event;

	assert(header_count <= HEADERS_MAX);
	for (uint32_t i = 0; i < header_count; i++) {
		headers[i].name = take_bytes();
		headers[i].value = take_bytes();
	}
	record.value = take_bytes();
	lead_event_read(&record, ring, &arena, &event);
	print(&event);
	drop(record.value);
	for (uint32_t i = 0; i < header_count; i++) {
		drop(headers[i].name);
		drop(headers[i].value);
	}
	arena_release(&arena);
}

int main(void)
{
	char path[] = "/tmp/onbehalf-test-key-XXXXXX";
	struct secret_ring *ring = NULL;
	uint32_t header_count;
	struct err err = {0};
	int fd = mkstemp(path);

	if (fd < 0 || dprintf(fd, "test %064d\n", 7) < 0 || close(fd) < 0 || secret_start(&err) ||
		secret_ring_open(path, &ring, &err)) {
		fprintf(stderr, "decode: %s\n", err.text);
		return 1;
	}
	unlink(path);
	while (take_number(&header_count))
		decode(header_count, ring);
	secret_ring_free(ring);
	return 0;
}
