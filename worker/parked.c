#include "worker/parked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define LOOK_EVERY_MS 5000 /* finds what a lost notification missed, and what is late */
#define LOOK_SOON_MS 20    /* many hints, one look */
#define HERE_MAX 4000      /* parked leads in memory */
#define HERE_BYTES_MAX                                                                             \
	((size_t)256 << 20) /* of all leads in memory: more are not fetched beyond it */
#define LOOK_LIMIT 1000

struct here { /* a parked lead in memory */
	unsigned char key[LEAD_KEY_BYTES];
	struct list node; /* among the checks */
};

struct parked {
	struct ledger *ledger;
	struct lanes *lanes;
	struct connections *connections;
	const struct secret_ring *ring;
	struct parked_handlers handlers;
	void *arg;
	struct partition *const *partitions;
	size_t count;
	struct loop_timer timer;
	struct map here;
	struct list checks;
	bool looking;
	bool again;
};

static void look(void *arg);

struct parked *parked_new(struct loop *l, struct ledger *ledger, struct lanes *lanes,
	struct connections *cs, const struct secret_ring *ring, const struct parked_handlers *h,
	void *arg)
{
	struct parked *p = mem_new(sizeof(*p));

	p->ledger = ledger;
	p->lanes = lanes;
	p->connections = cs;
	p->ring = ring;
	p->handlers = *h;
	p->arg = arg;
	list_init(&p->checks);
	loop_timer_init(&p->timer, l, look, p);
	return p;
}

void parked_free(struct parked *p)
{
	size_t pos = 0;
	struct here *h;

	if (!p)
		return;
	loop_timer_stop(&p->timer);
	while ((h = map_next(&p->here, &pos)))
		free(h);
	map_release(&p->here);
	free(p);
}

void parked_start(struct parked *p, struct partition *const *partitions, size_t count)
{
	p->partitions = partitions;
	p->count = count;
	parked_look(p);
}

void parked_stop(struct parked *p)
{
	loop_timer_stop(&p->timer);
	p->partitions = NULL;
	p->count = 0;
}

void parked_look(struct parked *p)
{
	if (!p->count)
		return;
	if (p->looking)
		p->again = true;
	else
		loop_timer_set(&p->timer, LOOK_SOON_MS);
}

static void forget(struct parked *p, const unsigned char key[LEAD_KEY_BYTES])
{
	struct here *h = map_remove(&p->here, key, LEAD_KEY_BYTES);

	if (!h)
		return;
	list_remove(&h->node);
	free(h);
}

void parked_left(struct parked *p, const struct lead *lead)
{
	forget(p, lead->event.key);
}

static struct slice bound_to(const unsigned char key[LEAD_KEY_BYTES])
{
	return (struct slice){(const char *)key, LEAD_KEY_BYTES};
}

void parked_seal(const struct parked *p, const struct lead *lead, struct buf *out)
{
	secret_seal(p->ring, lead->event.fields, bound_to(lead->event.key), out);
}

/* ---- a look ---- */

static struct here *remember(struct parked *p, const unsigned char *key)
{
	struct here *h = mem_new(sizeof(*h));

	memcpy(h->key, key, LEAD_KEY_BYTES);
	list_init(&h->node);
	map_put(&p->here, h->key, LEAD_KEY_BYTES, h);
	return h;
}

static struct partition *find(struct parked *p, int32_t number)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->partitions[i]->number == number)
			return p->partitions[i];
	return NULL;
}

static struct lead *read_lead(
	struct parked *p, const struct pg_rows *rows, int row, struct err *err)
{
	struct lead *lead = lead_new();
	freed_by(buf_release) struct buf plain = {0};
	struct arena *a = &lead->arena;

	memcpy(lead->event.key, pg_uuid(rows, row, PARKED_KEY), LEAD_KEY_BYTES);
	if (secret_open(p->ring, pg_slice(rows, row, PARKED_PAYLOAD), bound_to(lead->event.key),
		    &plain, err) < 0) {
		lead_free(lead);
		return NULL;
	}
	lead->event.fields = arena_slice(a, buf_slice(&plain));
	secret_zero(plain.data, plain.len);
	lead->event.source = arena_slice(a, pg_slice(rows, row, PARKED_SOURCE));
	lead->event.id = arena_slice(a, pg_slice(rows, row, PARKED_EVENT_ID));
	lead->event.traceparent = arena_slice(a, pg_slice(rows, row, PARKED_TRACEPARENT));
	lead->event_key = arena_slice(a, pg_slice(rows, row, PARKED_EVENT_KEY));
	lead->offset = pg_int8(rows, row, PARKED_OFFSET);
	lead->incarnation = pg_int4(rows, row, PARKED_INCARNATION);
	lead->deadline_ms = pg_time(rows, row, PARKED_DEADLINE);
	lead->attempts = pg_int4(rows, row, PARKED_ATTEMPTS);
	lead->unanswered = pg_int4(rows, row, PARKED_UNANSWERED);
	lead->accepted_ms = pg_time(rows, row, PARKED_ACCEPTED);
	lead->parked = true;
	return lead;
}

static void take_row(struct parked *p, const struct pg_rows *rows, int row)
{
	const unsigned char *key = pg_uuid(rows, row, PARKED_KEY);
	struct partition *partition = find(p, pg_int4(rows, row, PARKED_PARTITION));
	char text[LEAD_KEY_TEXT];
	struct lead *lead;
	struct err err;

	assert(key);
	if (!partition || map_get(&p->here, key, LEAD_KEY_BYTES))
		return;
	if (pg_int2(rows, row, PARKED_WHAT) != PARKED_SEND) {
		struct here *h = remember(p, key);

		list_add_tail(&p->checks, &h->node);
		return;
	}
	lead = read_lead(p, rows, row, &err);
	if (!lead) {
		lead_key_text(key, text);
		log_error("a parked lead cannot be opened: it stays", F_TEXT("lead", text),
			F_TEXT("error", err.text));
		return;
	}
	remember(p, key);
	lead->partition = partition;
	lead_charge(lead, lead->event.fields.len + sizeof(*lead));
	lead->connection = connections_get(p->connections, pg_uuid(rows, row, PARKED_CONNECTION));
	lanes_add(p->lanes, lead);
}

static void on_rows(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct parked *p = arg;

	p->looking = false;
	if (!rows) {
		log_warn("could not look for parked leads", F_TEXT("error", err->text));
	} else if (p->count) {
		for (int row = 0; row < pg_count(rows); row++)
			take_row(p, rows, row);
		if (pg_count(rows) == LOOK_LIMIT)
			p->again = true;
		if (!list_empty(&p->checks))
			p->handlers.work(p->arg);
	}
	if (p->count)
		loop_timer_set(&p->timer, p->again ? LOOK_SOON_MS : LOOK_EVERY_MS);
	p->again = false;
}

static void look(void *arg)
{
	struct parked *p = arg;
	unsigned char(*skip)[LEAD_KEY_BYTES];
	size_t n = 0, pos = 0, bytes = 0;
	struct here *h;

	if (p->looking || !p->count)
		return;
	for (size_t i = 0; i < p->count; i++)
		bytes += p->partitions[i]->bytes;
	if (map_count(&p->here) >= HERE_MAX || bytes > HERE_BYTES_MAX) {
		loop_timer_set(&p->timer, LOOK_EVERY_MS / 10);
		return;
	}
	skip = mem_new((map_count(&p->here) + 1) * sizeof(*skip));
	while ((h = map_next(&p->here, &pos)))
		memcpy(skip[n++], h->key, LEAD_KEY_BYTES);
	p->looking = true;
	ledger_parked_ready(p->ledger, p->partitions, p->count, skip, n, LOOK_LIMIT, on_rows, p);
	free(skip);
}

/* ---- checks ---- */

size_t parked_checks(struct parked *p, unsigned char (*ret)[LEAD_KEY_BYTES], size_t most)
{
	size_t n = 0;

	while (n < most && !list_empty(&p->checks)) {
		struct here *h = list_owner(list_pop(&p->checks), struct here, node);

		memcpy(ret[n++], h->key, LEAD_KEY_BYTES);
	}
	return n;
}

void parked_checked(struct parked *p, const unsigned char key[LEAD_KEY_BYTES])
{
	forget(p, key);
}
