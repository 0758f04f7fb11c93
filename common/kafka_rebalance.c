#include "common/kafka_private.h"

#include <assert.h>
#include <string.h>
#include <syslog.h>

#include "common/mem.h"

/* ---- what librdkafka says, in whichever call of ours ---- */

static struct kafka_note *note_add(
	struct kafka_consumer *c, enum kafka_note_kind kind, size_t count)
{
	struct kafka_note *n = mem_new(sizeof(*n) + count * sizeof(n->partitions[0]));

	n->kind = kind;
	n->count = count;
	list_add_tail(&c->notes, &n->node);
	return n;
}

static void on_rebalance(
	rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *arg)
{
	struct kafka_consumer *c = arg;
	struct kafka_note *n;

	if (c->closed) { /* then this is the thread that closes it */
		(void)rd_kafka_assign(rk, NULL);
	} else if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		n = note_add(c, NOTE_ASSIGNED, (size_t)list->cnt);
		for (int i = 0; i < list->cnt; i++)
			n->partitions[i] = list->elems[i].partition;
	} else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
		n = note_add(c, NOTE_REVOKED, 0);
		n->lost = rd_kafka_assignment_lost(rk);
	} else {
		n = note_add(c, NOTE_ERROR, 0);
		(void)kafka_err_code(&n->err, "could not rebalance", code, NULL);
		(void)rd_kafka_assign(rk, NULL);
	}
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
	struct kafka_consumer *c = arg;
	char why[160];
	rd_kafka_resp_err_t cause;
	struct kafka_note *n;

	if (c->closed)
		return;
	n = note_add(c, NOTE_ERROR, 0);
	if (code != RD_KAFKA_RESP_ERR__FATAL) {
		(void)kafka_err_code(&n->err, "consumer", (rd_kafka_resp_err_t)code, text);
		return;
	}
	cause = rd_kafka_fatal_error(rk, why, sizeof(why));
	(void)err_set(&n->err, ERR_FATAL, (int)cause, "consumer: %s", why);
}

/* Properties meant for the producer are of no note to a consumer. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
	struct kafka_consumer *c = rd_kafka_opaque(rk);

	if (c->closed || level > LOG_WARNING || strcmp(facility, "CONFWARN") == 0)
		return;
	(void)err_set(&note_add(c, NOTE_ERROR, 0)->err, ERR_TRANSIENT, 0, "librdkafka: %s", line);
}

void kafka_note_callbacks(rd_kafka_conf_t *conf, struct kafka_consumer *c)
{
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
}

/* ---- partitions ---- */

struct kafka_part *kafka_part_find(struct kafka_consumer *c, int32_t partition)
{
	if (partition < 0 || partition >= c->part_count || !c->parts[partition].queue)
		return NULL;
	return &c->parts[partition];
}

/* The end of an earlier assignment may undo a forwarding that was made before it was over. */
void kafka_parts_forward(struct kafka_consumer *c)
{
	for (int32_t i = 0; i < c->part_count; i++)
		if (c->parts[i].queue)
			rd_kafka_queue_forward(c->parts[i].queue, c->fetch_queue);
}

static rd_kafka_topic_partition_list_t *one(struct kafka_consumer *c, int32_t partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	(void)rd_kafka_topic_partition_list_add(list, c->topic, partition);
	return list;
}

/* Stops at once what is on its way: what is queued here is dropped, and fetched again by resume. */
void kafka_consumer_pause(struct kafka_consumer *c, int32_t partition)
{
	struct kafka_part *p = kafka_part_find(c, partition);
	rd_kafka_topic_partition_list_t *list;

	if (!p || p->paused)
		return;
	list = one(c, partition);
	p->paused = true;
	(void)rd_kafka_pause_partitions(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Never of a partition that is not paused: it would start again from an old position (#4636). */
void kafka_consumer_resume(struct kafka_consumer *c, int32_t partition)
{
	struct kafka_part *p = kafka_part_find(c, partition);
	rd_kafka_topic_partition_list_t *list;

	if (!p || !p->paused)
		return;
	list = one(c, partition);
	p->paused = false;
	(void)rd_kafka_resume_partitions(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka keeps a partition paused over the end of its assignment. */
void kafka_parts_forget(struct kafka_consumer *c)
{
	for (int32_t i = 0; i < c->part_count; i++) {
		if (!c->parts[i].queue)
			continue;
		if (!c->closed)
			kafka_consumer_resume(c, i);
		rd_kafka_queue_destroy(steal(&c->parts[i].queue));
	}
}

static void add_part(struct kafka_consumer *c, const struct kafka_position *at)
{
	assert(at->partition >= 0);
	if (at->partition >= c->part_count) {
		size_t count = (size_t)at->partition + 1, had = (size_t)c->part_count;

		c->parts = mem_grow(c->parts, count * sizeof(*c->parts));
		memset(c->parts + had, 0, (count - had) * sizeof(*c->parts));
		c->part_count = at->partition + 1;
	}
	c->parts[at->partition] = (struct kafka_part){
		.queue = rd_kafka_queue_get_partition(c->rk, c->topic, at->partition),
		.next_offset = at->offset == KAFKA_NO_OFFSET ? 0 : at->offset,
	};
}

static rd_kafka_topic_partition_list_t *positions(
	const char *topic, const struct kafka_position *p, size_t count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, topic, p[i].partition)->offset =
			p[i].offset == KAFKA_NO_OFFSET ? RD_KAFKA_OFFSET_BEGINNING : p[i].offset;
	return list;
}

int kafka_consumer_assign(
	struct kafka_consumer *c, const struct kafka_position *p, size_t count, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = positions(c->topic, p, count);
	rd_kafka_resp_err_t code;

	kafka_parts_forget(c);
	for (size_t i = 0; i < count; i++)
		add_part(c, &p[i]);
	kafka_parts_forward(c); /* before it begins, see serve_group() */
	code = rd_kafka_assign(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	kafka_parts_forget(c);
	return kafka_err_code(err, "could not take partitions", code, NULL);
}

void kafka_consumer_unassign(struct kafka_consumer *c)
{
	kafka_parts_forget(c);
	(void)rd_kafka_assign(c->rk, NULL);
}

void kafka_consumer_commit(struct kafka_consumer *c, const struct kafka_position *p, size_t count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

	for (size_t i = 0; i < count; i++)
		if (p[i].offset != KAFKA_NO_OFFSET)
			rd_kafka_topic_partition_list_add(list, c->topic, p[i].partition)->offset =
				p[i].offset;
	if (list->cnt > 0)
		(void)rd_kafka_commit(c->rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}
