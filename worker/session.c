#include "worker/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define DRAIN_LOOK_MS 20
#define SUSPICIOUS_TAKES 3  /* in a row without progress: a record may be killing us */
#define CAREFUL_RECORDS 100 /* that many records one by one, then as always */
#define MAINTAIN_EVERY_MS 3600000

enum session_state {
	SESSION_CONNECTING,
	SESSION_IDLE,    /* no partitions */
	SESSION_TAKING,  /* the ledger is asked */
	SESSION_OPENING, /* predecessors are fenced, ownership is proven */
	SESSION_RUNNING,
	SESSION_DRAINING,
	SESSION_RELEASING,
	SESSION_OVER,
};

struct session {
	struct loop *loop;
	const struct options *options;
	const struct secret_ring *ring;
	struct http *http;
	struct intake *intake;
	struct session_handlers handlers;
	void *arg;
	enum session_state state;
	unsigned char id[16];
	char transactional_id[160];
	char host[64];
	struct ledger *ledger;
	struct connections connections;
	struct lanes *lanes;
	struct parked *parked;
	struct publisher *publisher;
	struct tick *tick;
	struct partition **partitions; /* rising */
	size_t count;
	bool release_asked; /* while taking or opening */
	int64_t drain_until_ms;
	struct loop_timer drain_timer, maintain_timer, over_timer;
	struct err over_err;
	uint64_t marks_asked, marks_answered;
	struct tick_stats stats; /* of ticks before the last release */
};

/* ---- the end ---- */

static void on_over_timer(void *arg)
{
	struct session *s = arg;

	s->handlers.over(s->arg, &s->over_err);
}

/* Told on a turn of its own, so that no part is freed while it is calling us. */
static void over(struct session *s, const struct err *err)
{
	if (s->state == SESSION_OVER)
		return;
	s->state = SESSION_OVER;
	s->over_err = *err;
	loop_timer_set(&s->over_timer, 0);
}

static void on_part_over(void *arg, const struct err *err)
{
	over(arg, err);
}

/* ---- hints ---- */

static void on_work(void *arg)
{
	struct session *s = arg;

	if (s->tick)
		tick_work(s->tick);
}

static void on_load(void *arg, struct connection *c)
{
	struct session *s = arg;

	tick_load(s->tick, c);
}

static void on_changed(void *arg, const unsigned char id[16])
{
	struct session *s = arg;
	struct connection *c = connections_find(&s->connections, id);

	if (c && s->tick)
		tick_load(s->tick, c);
	if (s->parked)
		parked_look(s->parked);
}

static void on_confirmed(void *arg)
{
	struct session *s = arg;

	tick_moved(s->tick);
	tick_work(s->tick);
}

/* ---- beginning ---- */

static void on_ledger_ready(void *arg)
{
	struct session *s = arg;

	if (s->state != SESSION_CONNECTING)
		return;
	s->state = SESSION_IDLE;
	s->handlers.ready(s->arg);
}

static void on_opened(void *arg);

static void make_parts(struct session *s)
{
	static const struct lanes_handlers lanes_handlers = {on_work, on_load};
	static const struct parked_handlers parked_handlers = {on_work};
	static const struct publisher_handlers publisher_handlers = {
		on_opened, on_confirmed, on_part_over};
	static const struct tick_handlers tick_handlers = {on_part_over};

	s->lanes = lanes_new(s->loop, s->http, s->options, &s->connections, &lanes_handlers, s);
	s->parked = parked_new(
		s->loop, s->ledger, s->lanes, &s->connections, s->ring, &parked_handlers, s);
	s->publisher = publisher_new(s->loop, s->options, s->ring, s->ledger, s->transactional_id,
		&publisher_handlers, s);
	s->tick = tick_new(&(struct tick_parts){s->loop, s->options, s->ring, s->ledger, s->intake,
				   s->lanes, s->parked, s->publisher, &s->connections},
		&tick_handlers, s);
}

static void open_ledger(struct session *s)
{
	static const struct ledger_handlers handlers = {on_ledger_ready, on_part_over, on_changed};
	struct ledger_session row = {
		.group = s->options->group,
		.transactional_id = s->transactional_id,
		.build = ONBEHALF_VERSION,
		.host = s->host,
		.key_id = secret_ring_active(s->ring),
	};

	memcpy(row.id, s->id, sizeof(row.id));
	(void)secret_ring_fingerprint(s->ring, row.key_id, row.key_fingerprint);
	s->ledger = ledger_open(s->loop, s->options->postgres.url, s->options->postgres.password,
		&row, &handlers, s);
}

static void on_drain_timer(void *arg);

static void on_maintain_timer(void *arg)
{
	struct session *s = arg;

	ledger_maintain(s->ledger);
	loop_timer_set(&s->maintain_timer, MAINTAIN_EVERY_MS);
}

struct session *session_new(struct loop *l, const struct options *o, const struct secret_ring *ring,
	struct http *http, struct intake *intake, const struct session_handlers *h, void *arg)
{
	struct session *s = mem_new(sizeof(*s));
	char id[UUID_TEXT];

	s->loop = l;
	s->options = o;
	s->ring = ring;
	s->http = http;
	s->intake = intake;
	s->handlers = *h;
	s->arg = arg;
	secret_random(s->id, sizeof(s->id));
	s->id[6] = (unsigned char)((s->id[6] & 0x0f) | 0x40);
	s->id[8] = (unsigned char)((s->id[8] & 0x3f) | 0x80);
	uuid_text(s->id, id);
	snprintf(s->transactional_id, sizeof(s->transactional_id), "%.100s-%s", o->group, id);
	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		strcpy(s->host, "unknown");
	connections_init(&s->connections);
	loop_timer_init(&s->drain_timer, l, on_drain_timer, s);
	loop_timer_init(&s->maintain_timer, l, on_maintain_timer, s);
	loop_timer_init(&s->over_timer, l, on_over_timer, s);
	loop_timer_set(&s->maintain_timer, MAINTAIN_EVERY_MS);
	open_ledger(s);
	make_parts(s);
	log_info("session begins", F_TEXT("session", id));
	return s;
}

static void free_partitions(struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		partition_free(s->partitions[i]);
	free(steal(&s->partitions));
	s->count = 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	loop_timer_stop(&s->drain_timer);
	loop_timer_stop(&s->maintain_timer);
	loop_timer_stop(&s->over_timer);
	intake_halt(s->intake); /* the group membership stays */
	tick_free(s->tick);
	parked_free(s->parked);
	lanes_free(s->lanes);
	publisher_free(s->publisher);
	ledger_close(s->ledger);
	connections_release(&s->connections);
	free_partitions(s);
	free(s);
}

bool session_is_ready(const struct session *s)
{
	return s->state == SESSION_IDLE;
}

static void on_marked(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct session *s = arg;
	uint64_t order = ++s->marks_answered; /* in the order of the questions */

	(void)err;
	if (!rows || s->state != SESSION_RUNNING)
		return;
	for (size_t i = 0; i < s->count; i++)
		if (s->partitions[i]->mark_order == order)
			intake_marked(s->intake, s->partitions[i]);
}

void session_mark(struct session *s, struct partition *p, int64_t offset)
{
	p->mark_order = ++s->marks_asked;
	ledger_mark(s->ledger, p, offset, on_marked, s);
}

void session_work(struct session *s)
{
	tick_work(s->tick);
}

struct tick_stats session_stats(const struct session *s)
{
	const struct tick_stats now = tick_stats(s->tick);
	struct tick_stats sum = s->stats;

	sum.ticks += now.ticks;
	sum.accepted += now.accepted;
	sum.created += now.created;
	sum.updated += now.updated;
	sum.rejected += now.rejected;
	sum.other += now.other;
	sum.calls += now.calls;
	sum.call_leads += now.call_leads;
	return sum;
}

/* ---- taking ---- */

static void start_release(struct session *s);

static int by_number(const void *a, const void *b)
{
	const struct partition *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

static void be_careful(struct partition *p, int64_t accepted, int64_t mark)
{
	log_warn("taken again and again without progress: one record at a time",
		F_INT("partition", p->number), F_INT("mark", mark));
	p->careful = CAREFUL_RECORDS;
	p->harmless = accepted;
	p->mark = mark;
}

static struct partition *read_partition(
	const struct session *s, const struct pg_rows *rows, int row)
{
	struct partition *p = partition_new(pg_int4(rows, row, TAKE_PARTITION),
		(size_t)s->options->window, pg_int8(rows, row, TAKE_POSITION));

	p->incarnation = pg_int4(rows, row, TAKE_INCARNATION);
	p->epoch = pg_int8(rows, row, TAKE_EPOCH);
	if (pg_int4(rows, row, TAKE_TAKES) >= SUSPICIOUS_TAKES)
		be_careful(p, pg_int8(rows, row, TAKE_ACCEPTED),
			pg_null(rows, row, TAKE_MARK) ? -1 : pg_int8(rows, row, TAKE_MARK));
	p->last_outcome = pg_int8(rows, row, TAKE_LAST_OUTCOME);
	p->confirmed = p->handed = pg_int8(rows, row, TAKE_CONFIRMED);
	return p;
}

#define UNFENCED_MAX 1024

/* The transactional.ids to be fenced, each once. */
static size_t read_unfenced(const struct pg_rows *rows, char **ids)
{
	struct slice id;
	size_t n = 0;

	for (int row = 0; row < pg_count(rows); row++) {
		struct pg_items it = pg_items(rows, row, TAKE_UNFENCED);

		while (pg_item(&it, &id) && n < UNFENCED_MAX) {
			bool known = false;

			for (size_t i = 0; i < n && !known; i++)
				known = strlen(ids[i]) == id.len &&
				        memcmp(ids[i], id.data, id.len) == 0;
			if (!known)
				ids[n++] = mem_slice_text(id);
		}
	}
	return n;
}

static void on_taken(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct session *s = arg;
	char *ids[UNFENCED_MAX];
	size_t n;

	if (s->state != SESSION_TAKING)
		return;
	if (!rows) {
		over(s, err);
		return;
	}
	s->partitions = mem_new((size_t)(pg_count(rows) + 1) * sizeof(struct partition *));
	for (int row = 0; row < pg_count(rows); row++)
		s->partitions[s->count++] = read_partition(s, rows, row);
	qsort(s->partitions, s->count, sizeof(struct partition *), by_number);
	if (s->release_asked) {
		start_release(s);
		return;
	}
	n = read_unfenced(rows, ids);
	s->state = SESSION_OPENING;
	publisher_open(s->publisher, s->partitions, s->count, (const char *const *)ids, n);
	while (n)
		free(ids[--n]);
}

void session_take(struct session *s, const int32_t *partitions, size_t count)
{
	assert(s->state == SESSION_IDLE && !s->count);
	s->state = SESSION_TAKING;
	s->release_asked = false;
	ledger_take(s->ledger, partitions, count, on_taken, s);
}

static void on_opened(void *arg)
{
	struct session *s = arg;
	struct err err;

	if (s->state != SESSION_OPENING)
		return;
	s->state = SESSION_RUNNING;
	tick_start(s->tick, s->partitions, s->count);
	parked_start(s->parked, s->partitions, s->count);
	if (intake_start(s->intake, s->partitions, s->count, &err) < 0) {
		over(s, &err);
		return;
	}
	s->handlers.running(s->arg);
}

/* ---- giving back ---- */

static void on_released(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct session *s = arg;
	struct tick_head head;

	if (s->state != SESSION_RELEASING)
		return;
	if (!rows) {
		over(s, err);
		return;
	}
	/* What was not sent is dropped: it is read again from the positions by whoever comes next.
	 */
	s->stats = session_stats(s);
	head = tick_head(s->tick);
	tick_free(s->tick);
	parked_free(s->parked);
	lanes_free(s->lanes);
	publisher_free(s->publisher);
	connections_release(&s->connections);
	connections_init(&s->connections);
	free_partitions(s);
	make_parts(s);
	tick_follow(s->tick, &head); /* one session, one chain */
	s->state = SESSION_IDLE;
	s->handlers.released(s->arg);
}

static void start_release(struct session *s)
{
	s->state = SESSION_RELEASING;
	loop_timer_stop(&s->drain_timer);
	intake_halt(s->intake);
	tick_stop(s->tick);
	parked_stop(s->parked);
	publisher_close_partitions(s->publisher);
	ledger_release(s->ledger, s->partitions, s->count, on_released, s);
}

static void on_drain_timer(void *arg)
{
	struct session *s = arg;
	bool quiet = tick_quiet(s->tick) && publisher_idle(s->publisher);

	if (quiet || clock_age_ms() >= s->drain_until_ms) {
		if (!quiet)
			log_warn("drain time is over: what is left is done by the next owner",
				F_INT("calls", (int64_t)lanes_in_flight(s->lanes)));
		start_release(s);
		return;
	}
	tick_work(s->tick);
	loop_timer_set(&s->drain_timer, DRAIN_LOOK_MS);
}

void session_release(struct session *s)
{
	switch (s->state) {
	case SESSION_TAKING:
		s->release_asked = true;
		break;
	case SESSION_OPENING:
		start_release(s);
		break;
	case SESSION_RUNNING:
		s->state = SESSION_DRAINING;
		s->drain_until_ms = clock_age_ms() + s->options->drain_timeout_ms;
		intake_hold(s->intake);
		lanes_drain(s->lanes);
		tick_drain(s->tick);
		loop_timer_set(&s->drain_timer, 0);
		break;
	case SESSION_CONNECTING:
	case SESSION_IDLE:
		s->handlers.released(s->arg);
		break;
	case SESSION_DRAINING:
	case SESSION_RELEASING:
	case SESSION_OVER:
		break;
	}
}
