#include "worker/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/fail_point.h"
#include "common/json.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/mem.h"

#define KEY_MAX 65536        /* bytes of a record's key: outcomes carry it */
#define WAITING_MAX 4000     /* decoded leads that may wait for a tick */
#define HEADERS_MAX 64       /* of a record; further ones are not looked at */
#define COMMIT_EVERY_MS 2000 /* for lag tools only */

struct intake {
	const struct options *options;
	const struct secret_ring *ring;
	struct intake_handlers handlers;
	void *arg;
	struct kafka_consumer *consumer;
	struct partition *const *partitions;
	size_t count;
	bool held;
	struct list waiting;
	size_t waiting_count;
	int64_t committed_age_ms;
};

static struct partition *find(struct intake *in, int32_t number)
{
	for (size_t i = 0; i < in->count; i++)
		if (in->partitions[i]->number == number)
			return in->partitions[i];
	return NULL;
}

static void set_credit(struct intake *in)
{
	size_t room =
		in->held || in->waiting_count >= WAITING_MAX ? 0 : WAITING_MAX - in->waiting_count;

	kafka_consumer_credit(in->consumer, room);
}

/* ---- a record becomes a lead ---- */

static size_t read_headers(const struct kafka_message *m, struct lead_header *headers)
{
	struct kafka_header h;
	size_t n = 0;

	while (n < HEADERS_MAX && kafka_message_header(m, n, &h))
		headers[n++] = (struct lead_header){{h.name, strlen(h.name)}, h.value};
	return n;
}

/* The name of the field at fault, as the JSON list that an outcome carries. */
static void note_field(struct lead *lead)
{
	freed_by(buf_release) struct buf b = {0};

	if (!lead->event.field.data)
		return;
	buf_add_char(&b, '[');
	json_put_text(&b, lead->event.field);
	buf_add_char(&b, ']');
	lead->result.fields = arena_slice(&lead->arena, buf_slice(&b));
}

/* A lead that is only a record yet. */
static struct lead *take_record(struct partition *p, struct kafka_message *m)
{
	struct lead *lead = lead_new();
	int64_t time_ms = kafka_message_timestamp_ms(m);

	lead->message = m;
	lead->partition = p;
	lead->offset = kafka_message_offset(m);
	lead->incarnation = p->incarnation;
	lead->record_time_ms = time_ms > 0 ? time_ms : 0;
	lead->event_key = kafka_message_key(m);
	if (lead->event_key.len > KEY_MAX) /* a lead.invalid then; what it was is in the record */
		lead->event_key.len = KEY_MAX;
	lead->event_key = arena_slice(&lead->arena, lead->event_key);
	/* the record stays until it is accepted, its fields until the lead has ended */
	lead_charge(
		lead, kafka_message_value(m).len * 2 + kafka_message_key(m).len + sizeof(*lead));
	return lead;
}

static void decode(struct intake *in, struct lead *lead)
{
	struct lead_header headers[HEADERS_MAX];
	struct lead_record record = {
		.value = kafka_message_value(lead->message), .headers = headers};

	fail_point_kill(FAIL_DECODE_KILLS, record.value);
	record.header_count = read_headers(lead->message, headers);
	lead_event_read(&record, in->ring, &lead->arena, &lead->event);
	if (kafka_message_key(lead->message).len > KEY_MAX) {
		lead->event = (struct lead_event){
			.verdict = LEAD_INVALID, .reason = REASON_TOO_LARGE, .path = "key"};
		lead->result.fields = (struct slice){NULL, 0};
	}
	if (lead->event.verdict == LEAD_INVALID)
		lead_key_undecoded(
			lead->incarnation, lead->partition->number, lead->offset, lead->event.key);
	lead->deadline_ms = lead->event.expiry_wall_ms;
	note_field(lead);
}

void intake_set_aside(struct lead *lead)
{
	memset(&lead->event, 0, sizeof(lead->event));
	lead->event.verdict = LEAD_INVALID;
	lead->event.reason = REASON_POISONOUS;
	strcpy(lead->event.path, "$");
	lead_key_undecoded(
		lead->incarnation, lead->partition->number, lead->offset, lead->event.key);
	lead->result.fields = (struct slice){NULL, 0};
	lead->deadline_ms = 0;
}

static void hand_over(struct intake *in, struct lead *lead)
{
	list_add_tail(&in->waiting, &lead->node);
	in->waiting_count++;
	in->handlers.work(in->arg);
}

/* ---- careful: one record at a time, behind a durable mark ---- */

static void next_careful(struct intake *in, struct partition *p)
{
	struct list *node;

	if (p->careful_state != CAREFUL_IDLE)
		return;
	if (!p->careful) { /* the danger is over */
		while ((node = list_pop(&p->undecoded))) {
			decode(in, list_owner(node, struct lead, node));
			hand_over(in, list_owner(node, struct lead, node));
		}
		return;
	}
	if (list_empty(&p->undecoded))
		return;
	p->careful_state = CAREFUL_MARKING;
	in->handlers.mark(in->arg, p, list_owner(p->undecoded.next, struct lead, node)->offset);
}

void intake_marked(struct intake *in, struct partition *p)
{
	struct list *node = list_pop(&p->undecoded);
	struct lead *lead = list_owner(node, struct lead, node);

	if (!node)
		return;
	if (lead->offset == p->mark) {
		log_error("a record that killed the worker is set aside undecoded",
			F_INT("partition", p->number), F_INT("offset", lead->offset));
		intake_set_aside(lead);
	} else {
		decode(in, lead);
	}
	p->careful--;
	p->careful_state = CAREFUL_ACCEPTING;
	hand_over(in, lead);
}

static void on_message(void *arg, struct kafka_message *message)
{
	struct intake *in = arg;
	freed_by(kafka_message_freep) struct kafka_message *m = message;
	struct partition *p = find(in, kafka_message_partition(m));
	int64_t offset = kafka_message_offset(m);
	struct lead *lead;
	enum window_answer answer;

	if (!p || offset <= p->read)
		return; /* of an assignment before this one */
	answer = window_begin(p->window, offset);
	assert(answer == WINDOW_OK); /* paused before it is full */
	(void)answer;
	p->read = offset;
	lead = take_record(p, steal(&m));
	if ((p->careful && offset > p->harmless) || !list_empty(&p->undecoded)) {
		list_add_tail(&p->undecoded, &lead->node);
		next_careful(in, p);
	} else {
		decode(in, lead);
		hand_over(in, lead);
	}
	if ((window_room(p->window) == 0 || p->bytes >= (size_t)in->options->window_bytes) &&
		!p->paused) {
		p->paused = true;
		kafka_consumer_pause(in->consumer, p->number);
	}
	set_credit(in);
}

/* ---- the group ---- */

static void on_assigned(void *arg, const int32_t *partitions, size_t count)
{
	struct intake *in = arg;

	in->handlers.assigned(in->arg, partitions, count);
}

static void on_revoked(void *arg, bool lost)
{
	struct intake *in = arg;

	in->handlers.revoked(in->arg, lost);
}

static void on_error(void *arg, const struct err *err)
{
	struct intake *in = arg;

	if (err->kind == ERR_FATAL)
		in->handlers.over(in->arg, err);
	else
		log_warn("Kafka consumer", F_TEXT("error", err->text), F_INT("code", err->code));
}

int intake_open(struct loop *l, const struct options *o, const struct secret_ring *ring,
	const struct intake_handlers *h, void *arg, struct intake **ret, struct err *err)
{
	static const struct kafka_consumer_handlers handlers = {
		on_message, on_assigned, on_revoked, on_error};
	struct intake *in = mem_new(sizeof(*in));

	in->options = o;
	in->ring = ring;
	in->handlers = *h;
	in->arg = arg;
	in->held = true;
	list_init(&in->waiting);
	if (kafka_consumer_open(l, o->config.pairs, o->config.pair_count, o->group,
		    o->topics.lead_create, &handlers, in, &in->consumer, err) < 0) {
		free(in);
		return -1;
	}
	set_credit(in);
	*ret = in;
	return 0;
}

static void drop_waiting(struct intake *in)
{
	lead_free_all(&in->waiting);
	in->waiting_count = 0;
	for (size_t i = 0; i < in->count; i++)
		lead_free_all(&in->partitions[i]->undecoded);
}

void intake_close(struct intake *in)
{
	if (!in)
		return;
	drop_waiting(in);
	kafka_consumer_close(in->consumer, 5000);
	free(in);
}

int intake_start(
	struct intake *in, struct partition *const *partitions, size_t count, struct err *err)
{
	struct kafka_position *positions = mem_new((count + 1) * sizeof(*positions));
	int rc;

	for (size_t i = 0; i < count; i++)
		positions[i] = (struct kafka_position){partitions[i]->number,
			partitions[i]->start < 0 ? KAFKA_NO_OFFSET : partitions[i]->start};
	in->partitions = partitions;
	in->count = count;
	in->held = false;
	set_credit(in);
	rc = kafka_consumer_assign(in->consumer, positions, count, err);
	free(positions);
	return rc;
}

static void commit_positions(struct intake *in)
{
	struct kafka_position *positions = mem_new((in->count + 1) * sizeof(*positions));
	size_t n = 0;

	for (size_t i = 0; i < in->count; i++) {
		struct partition *p = in->partitions[i];
		int64_t position = partition_position(p);

		if (position <= p->committed || position < 0)
			continue;
		p->committed = position;
		positions[n++] = (struct kafka_position){p->number, position};
	}
	if (n)
		kafka_consumer_commit(in->consumer, positions, n);
	free(positions);
}

void intake_hold(struct intake *in)
{
	in->held = true;
	set_credit(in);
}

void intake_halt(struct intake *in)
{
	intake_hold(in);
	drop_waiting(in);
	if (in->count)
		commit_positions(in);
	in->partitions = NULL;
	in->count = 0;
}

void intake_stop(struct intake *in)
{
	intake_halt(in);
	kafka_consumer_unassign(in->consumer);
}

struct list *intake_waiting(struct intake *in)
{
	return &in->waiting;
}

void intake_put_back(struct intake *in, struct lead *lead)
{
	list_add_head(&in->waiting, &lead->node);
	in->waiting_count++;
}

void intake_taken(struct intake *in, size_t n)
{
	assert(n <= in->waiting_count);
	in->waiting_count -= n;
	set_credit(in);
}

static void resume(struct intake *in, struct partition *p)
{
	if (!p->paused || window_room(p->window) < (size_t)in->options->window / 4 ||
		p->bytes > (size_t)in->options->window_bytes / 2)
		return;
	p->paused = false;
	kafka_consumer_resume(in->consumer, p->number);
}

void intake_moved(struct intake *in)
{
	int64_t now = clock_age_ms();

	for (size_t i = 0; i < in->count; i++) {
		struct partition *p = in->partitions[i];

		resume(in, p);
		if (p->careful_state == CAREFUL_ACCEPTING && list_empty(&in->waiting)) {
			p->careful_state = CAREFUL_IDLE;
			next_careful(in, p);
		}
	}
	if (now - in->committed_age_ms < COMMIT_EVERY_MS)
		return;
	in->committed_age_ms = now;
	commit_positions(in);
}
