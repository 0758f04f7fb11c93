#include "common/kafka_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mem.h"

/*
 * Two queues.  Messages go straight from each partition to the fetch queue, which is
 * read only as far as the credit goes; librdkafka stops fetching when it is full.  The
 * group's queue holds the rest (rebalances, errors, logs) and is always read to its
 * end, so that a consumer without credit still takes part in the group.  Pausing every
 * partition instead would throw away and fetch anew what is already here.
 */

/* The group's queue is served so often at least: max.poll.interval.ms is much longer. */
#define SERVE_MS 1000

static const struct kafka_setting presets[] = {
	{"partition.assignment.strategy", "range,roundrobin",
		false}, /* eager ones (#4800, #4908) */
	{"queued.max.messages.kbytes", "16384", false},
	/* Since 2.2.0 a full queue is looked at again only after 1 s. */
	{"fetch.queue.backoff.ms", "10", true},
	{NULL, NULL, false},
};

/* ---- the handlers ---- */

static void tell_error(struct kafka_consumer *c, const struct err *err)
{
	if (c->handlers.error)
		c->handlers.error(c->arg, err);
}

static void tell(struct kafka_consumer *c, const struct kafka_note *n)
{
	switch (n->kind) {
	case NOTE_ASSIGNED:
		c->handlers.assigned(c->arg, n->partitions, n->count);
		break;
	case NOTE_REVOKED:
		c->handlers.revoked(c->arg, n->lost);
		break;
	case NOTE_ERROR:
		tell_error(c, &n->err);
		break;
	}
}

static void tell_all(struct kafka_consumer *c)
{
	struct list *node;

	while (!c->closed && (node = list_pop(&c->notes))) {
		struct kafka_note *n = list_owner(node, struct kafka_note, node);

		tell(c, n);
		free(n);
	}
}

/* An error comes as a message; one of a partition stops that partition or mends itself.  Takes @m.
 */
static void tell_failed(struct kafka_consumer *c, rd_kafka_message_t *m)
{
	rd_kafka_resp_err_t code = m->err;
	char what[40] = "consumer";
	struct err err;

	if (m->rkt)
		(void)snprintf(what, sizeof(what), "partition %d", (int)m->partition);
	(void)kafka_err_code(&err, what, code, rd_kafka_message_errstr(m));
	rd_kafka_message_destroy(m); /* the handler may close what it belongs to */
	if (code != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		tell_error(c, &err);
}

/* A resume may go back to an earlier offset (#4636): the owner sees each once, and rising. */
static void give(struct kafka_consumer *c, rd_kafka_message_t *m)
{
	struct kafka_part *p = kafka_part_find(c, m->partition);

	if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		tell_failed(c, m);
	} else if (!p || m->offset < p->next_offset) {
		rd_kafka_message_destroy(m);
	} else {
		p->next_offset = m->offset + 1;
		c->handlers.message(c->arg, (struct kafka_message *)m);
	}
}

/*
 * Here are no messages, since every partition has its queue forwarded before it begins.
 * If one comes nevertheless it cannot be put back, so the position is lost with it.
 */
static void serve_group(struct kafka_consumer *c)
{
	rd_kafka_message_t *m;
	struct err err;

	while (!c->closed && (m = rd_kafka_consumer_poll(c->rk, 0))) {
		bool astray = kafka_part_find(c, m->partition) != NULL;

		if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			tell_failed(c, m);
			continue;
		}
		(void)err_set(&err, ERR_FATAL, 0, "partition %d: a message came astray",
			(int)m->partition);
		rd_kafka_message_destroy(m);
		if (astray)
			tell_error(c, &err);
	}
}

static void serve_messages(struct kafka_consumer *c)
{
	rd_kafka_message_t *m;
	size_t given = 0;

	c->more = true;
	while (!c->closed && given < c->credit) {
		m = rd_kafka_consume_queue(c->fetch_queue, 0);
		if (!m) {
			c->more = false;
			break;
		}
		given++;
		give(c, m);
	}
}

static void unuse(void *arg)
{
	struct kafka_consumer *c = arg;
	struct list *node;

	if (atomic_fetch_sub(&c->users, 1) > 1)
		return;
	while ((node = list_pop(&c->notes)))
		free(list_owner(node, struct kafka_note, node));
	free(c->parts);
	free(c->topic);
	free(c);
}

static void on_timer(void *arg)
{
	struct kafka_consumer *c = arg;

	c->users++;
	kafka_parts_forward(c);
	serve_group(c);
	tell_all(c);
	serve_messages(c);
	tell_all(c); /* what the handlers' calls brought */
	if (!c->closed)
		loop_timer_set(&c->timer, c->more && c->credit > 0 ? 0 : SERVE_MS);
	unuse(c);
}

/* All is done in the timer, once a turn. */
static void on_event(void *arg, int fd, unsigned events)
{
	struct kafka_consumer *c = arg;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		loop_timer_set(&c->timer, 0);
}

void kafka_consumer_credit(struct kafka_consumer *c, size_t messages)
{
	c->credit = messages;
	if (messages > 0 && c->more)
		loop_timer_set(&c->timer, 0);
}

/* ---- beginning and end ---- */

static rd_kafka_t *open_handle(struct kafka_consumer *c, const struct config_pair *pairs,
	size_t pair_count, const char *group, struct err *err)
{
	const struct kafka_setting forced[] = {
		{"group.id", group, false},
		{"enable.auto.commit", "false", false},
		{"enable.auto.offset.store", "false", false},
		{"isolation.level", "read_committed", false},
		{"auto.offset.reset", "error", false},
		{"allow.auto.create.topics", "false", false},
		{NULL, NULL, false},
	};
	rd_kafka_conf_t *conf = kafka_conf_new(presets, pairs, pair_count, forced, err);

	if (!conf)
		return NULL;
	kafka_note_callbacks(conf, c);
	return kafka_handle_new(RD_KAFKA_CONSUMER, conf, err);
}

static int subscribe(struct kafka_consumer *c, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;

	(void)rd_kafka_topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return kafka_err_code(err, "could not subscribe", code, NULL);
}

static void connect_queues(struct kafka_consumer *c)
{
	static const uint64_t one_event = 1;

	(void)rd_kafka_poll_set_consumer(c->rk);
	c->group_queue = rd_kafka_queue_get_consumer(c->rk);
	c->fetch_queue = rd_kafka_queue_new(c->rk);
	c->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->event_fd < 0)
		abort(); /* no descriptor left */
	rd_kafka_queue_io_event_enable(c->group_queue, c->event_fd, &one_event, sizeof(one_event));
	rd_kafka_queue_io_event_enable(c->fetch_queue, c->event_fd, &one_event, sizeof(one_event));
	c->watch = loop_watch(c->loop, c->event_fd, LOOP_READ, on_event, c);
	/* It writes only when a queue that was empty fills: what is here already is read now. */
	loop_timer_set(&c->timer, 0);
}

int kafka_consumer_open(struct loop *l, const struct config_pair *pairs, size_t pair_count,
	const char *group, const char *topic, const struct kafka_consumer_handlers *handlers,
	void *arg, struct kafka_consumer **ret, struct err *err)
{
	struct kafka_consumer *c = mem_new(sizeof(*c));

	c->loop = l;
	c->topic = mem_text(topic);
	c->handlers = *handlers;
	c->arg = arg;
	c->users = 1;
	list_init(&c->notes);
	loop_timer_init(&c->timer, l, on_timer, c);
	c->rk = open_handle(c, pairs, pair_count, group, err);
	if (!c->rk) {
		unuse(c);
		return -1;
	}
	connect_queues(c);
	if (subscribe(c, err) < 0) {
		kafka_consumer_close(c, 0);
		return -1;
	}
	*ret = c;
	return 0;
}

void kafka_consumer_close(struct kafka_consumer *c, int64_t timeout_ms)
{
	if (!c || c->closed)
		return;
	c->closed = true;
	kafka_parts_forget(c);
	loop_timer_stop(&c->timer);
	loop_unwatch(c->watch);
	rd_kafka_queue_io_event_enable(c->group_queue, -1, NULL, 0);
	rd_kafka_queue_io_event_enable(c->fetch_queue, -1, NULL, 0);
	rd_kafka_queue_destroy(c->group_queue);
	rd_kafka_queue_destroy(c->fetch_queue);
	close(c->event_fd);
	kafka_handle_destroy(c->rk, timeout_ms, unuse, c);
}
