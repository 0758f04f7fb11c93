/*
 * common/kafka_private.h - what the files of the door to librdkafka share.
 */
#pragma once

#include <stdatomic.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka.h"
#include "common/list.h"
#include "common/loop.h"

struct kafka_setting { /* a table of them ends with a NULL name */
	const char *name, *value;
	bool optional; /* newer than the oldest librdkafka we build against */
};

/**
 * A configuration of @presets, then @pairs, then @forced: the last one counts.  The caller owns it.
 * NULL and REJECTED: a property cannot be used, or would break a promise; the text names it.
 */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_setting *presets,
	const struct config_pair *pairs, size_t pair_count, const struct kafka_setting *forced,
	struct err *err);
/** Takes @conf in any case.  NULL and REJECTED: librdkafka refuses it. */
rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err);
/**
 * Closes and destroys @rk on a thread of its own, since neither ends by itself in some
 * versions, and waits for it at most @timeout_ms.  @after (or NULL) is called on that
 * thread at its end: until then callbacks may still come.
 */
void kafka_handle_destroy(rd_kafka_t *rk, int64_t timeout_ms, void (*after)(void *arg), void *arg);

/** Fills @err from a code of librdkafka; returns -1.  @detail may be NULL. */
int kafka_err_code(struct err *err, const char *what, rd_kafka_resp_err_t code, const char *detail);
/** Fills @err from @error and destroys it; returns -1, or 0 when @error is NULL. */
int kafka_err_take(struct err *err, const char *what, rd_kafka_error_t *error);

/* ---- the consumer ---- */

struct kafka_part {
	rd_kafka_queue_t *queue; /* NULL: not assigned */
	int64_t next_offset;     /* what was given out does not come again */
	bool paused;
};

enum kafka_note_kind { NOTE_ASSIGNED, NOTE_REVOKED, NOTE_ERROR };

/* What a callback of librdkafka said; the handlers hear it when librdkafka has returned. */
struct kafka_note {
	struct list node;
	enum kafka_note_kind kind;
	bool lost;
	struct err err;
	size_t count;
	int32_t partitions[];
};

struct kafka_consumer {
	struct loop *loop;
	rd_kafka_t *rk;
	char *topic;
	struct kafka_consumer_handlers handlers;
	void *arg;
	rd_kafka_queue_t *group_queue, *fetch_queue;
	int event_fd; /* both queues write to it when they were empty */
	struct loop_watch *watch;
	struct loop_timer timer; /* serves: at once, or after SERVE_MS */
	struct list notes;
	struct kafka_part *parts; /* by partition number */
	int32_t part_count;
	size_t credit;
	bool more;         /* the fetch queue was not read to its end */
	atomic_uint users; /* our frames on the stack; the owner, or the thread that closes it */
	bool closed;
};

/** NULL: not assigned. */
struct kafka_part *kafka_part_find(struct kafka_consumer *c, int32_t partition);
/** Sends the messages of every partition to the fetch queue, as often as one likes. */
void kafka_parts_forward(struct kafka_consumer *c);
/** Ends the assignment on our side. */
void kafka_parts_forget(struct kafka_consumer *c);

/** The callbacks of librdkafka; they only take notes. */
void kafka_note_callbacks(rd_kafka_conf_t *conf, struct kafka_consumer *c);
