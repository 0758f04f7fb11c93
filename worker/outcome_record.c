#include "worker/outcome_record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"

#define HEADERS_MAX 96 /* ours and the original ones */

struct headers {
	struct arena *arena;
	struct kafka_header *list;
	size_t count;
};

static void add(struct headers *h, const char *name, struct slice value)
{
	assert(h->count < HEADERS_MAX);
	h->list[h->count++] = (struct kafka_header){name, value};
}

static void add_text(struct headers *h, const char *name, const char *text)
{
	add(h, name, (struct slice){arena_text(h->arena, text), strlen(text)});
}

static void add_number(struct headers *h, const char *name, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	add_text(h, name, text);
}

static void add_hex(struct headers *h, const char *name, const char *before,
	const unsigned char *data, size_t len)
{
	freed_by(buf_release) struct buf b = {0};

	buf_add_text(&b, before);
	buf_add_hex(&b, data, len);
	add_text(h, name, b.data);
}

static const char *topic_of(const struct options *o, enum outcome_type type)
{
	switch (type) {
	case OUTCOME_RESULT:
		return o->topics.lead_result;
	case OUTCOME_REAUTH_REQUIRED:
		return o->topics.lead_reauth_required;
	case OUTCOME_REVOKED:
		return o->topics.lead_revoked;
	case OUTCOME_INVALID:
		return o->topics.lead_invalid;
	}
	return NULL;
}

/* The names that Kafka Connect's dead letter queues use, so that existing tools read them. */
static void add_diagnostics(struct headers *h, const struct outcome *x,
	const struct outcome_origin *origin, const struct options *o)
{
	unsigned char digest[32];

	add_text(h, "__connect.errors.topic", o->topics.lead_create);
	add_number(h, "__connect.errors.partition", x->partition);
	add_number(h, "__connect.errors.offset", origin->offset);
	add(h, "onbehalf_reason", arena_slice(h->arena, x->reason));
	if (x->detail.data)
		add(h, "onbehalf_path", arena_slice(h->arena, x->detail));
	add_number(h, "onbehalf_length", (int64_t)origin->value.len);
	secret_sha256(origin->value.data, origin->value.len, digest);
	add_hex(h, "onbehalf_digest", "sha256:", digest, sizeof(digest));
}

/* `<key id>:<hex>`, keyed BLAKE2b over topic, partition, sequence, id and value. */
static void add_mac(struct headers *h, const struct kafka_record *r, const struct secret_ring *ring,
	const char *const texts[3])
{
	unsigned char mac[SECRET_DIGEST_BYTES];
	char before[SECRET_KEY_ID_MAX + 2];
	const struct slice parts[] = {
		{r->topic, strlen(r->topic)},
		{texts[0], strlen(texts[0])},
		{texts[1], strlen(texts[1])},
		{texts[2], strlen(texts[2])},
		r->value,
	};
	bool ok = secret_digest(ring, SECRET_MAC, NULL, parts, ARRAY_LEN(parts), mac);

	assert(ok);
	(void)ok;
	snprintf(before, sizeof(before), "%s:", secret_ring_active(ring));
	add_hex(h, "onbehalf_mac", before, mac, sizeof(mac));
}

static struct slice event_of(const struct outcome *x, const struct options *o, struct arena *arena)
{
	freed_by(buf_release) struct buf value = {0};
	char source[256];

	snprintf(source, sizeof(source), "onbehalf/%s", o->group);
	outcome_event_write(x, source, &value);
	return arena_slice(arena, buf_slice(&value));
}

/* The original headers, but for names that are ours, as far as @room goes; the bytes taken. */
static size_t add_original(struct headers *h, const struct outcome_origin *origin, size_t room)
{
	static const char *const ours[] = {"onbehalf_", "__connect.errors.", "traceparent"};
	size_t used = 0;

	for (size_t i = 0; i < origin->header_count; i++) {
		const struct kafka_header *x = &origin->headers[i];
		size_t size = strlen(x->name) + x->value.len;
		bool taken = h->count >= HEADERS_MAX - 12 || used + size > room;

		for (size_t k = 0; k < ARRAY_LEN(ours) && !taken; k++)
			taken = strncmp(x->name, ours[k], strlen(ours[k])) == 0;
		if (taken)
			continue;
		add(h, arena_text(h->arena, x->name), arena_slice(h->arena, x->value));
		used += size;
	}
	return used;
}

/* The original bytes: half of what may be kept for the key, a quarter of the rest for headers, then
 * the value. */
static void write_invalid(const struct outcome *x, const struct outcome_origin *origin,
	const struct options *o, struct headers *h, struct kafka_record *ret)
{
	size_t room = origin->keep_bytes;

	if (x->event_key.len > room / 2) {
		add_number(h, "onbehalf_key_length", (int64_t)x->event_key.len);
		ret->key = (struct slice){NULL, 0};
	}
	room -= ret->key.len;
	room -= add_original(h, origin, room / 4);
	ret->value = origin->value;
	if (ret->value.len > room)
		ret->value.len = room;
	add_diagnostics(h, x, origin, o);
}

void outcome_record_write(const struct outcome *x, const struct outcome_origin *origin,
	const struct options *o, const struct secret_ring *ring, struct arena *arena,
	struct kafka_record *ret)
{
	struct headers h = {
		arena, arena_alloc(arena, HEADERS_MAX * sizeof(struct kafka_header)), 0};
	char partition[16], sequence[24], id[UUID_TEXT];

	ret->topic = topic_of(o, x->type);
	ret->partition = x->partition;
	ret->key = arena_slice(arena, x->event_key);
	if (x->type == OUTCOME_INVALID) {
		write_invalid(x, origin, o, &h, ret);
	} else {
		ret->value = event_of(x, o, arena);
		add_text(&h, "content-type", "application/cloudevents+json; charset=utf-8");
	}
	if (x->traceparent.data)
		add(&h, "traceparent", arena_slice(arena, x->traceparent));
	snprintf(partition, sizeof(partition), "%d", (int)x->partition);
	snprintf(sequence, sizeof(sequence), "%lld", (long long)x->sequence);
	uuid_text(x->id, id);
	add_text(&h, "onbehalf_partition", partition);
	add_text(&h, "onbehalf_sequence", sequence);
	add_text(&h, "onbehalf_id", id);
	add_mac(&h, ret, ring, (const char *const[3]){partition, sequence, id});
	ret->headers = h.list;
	ret->header_count = h.count;
}
