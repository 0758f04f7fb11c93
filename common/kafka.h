/*
 * common/kafka.h - the door to librdkafka.
 *
 * A consumer of one topic in a group, on the loop; a transactional producer,
 * blocking, for a thread of its own; and a few blocking questions for the
 * start.  Traps by version: worker/docs/kafka.
 * https://github.com/confluentinc/librdkafka/blob/v2.0.2/src/rdkafka.h
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/config.h"
#include "common/err.h"
#include "common/loop.h"

#define KAFKA_TOO_LARGE 10   /* err.code: the record is larger than the topic takes */
#define KAFKA_NO_OFFSET (-1) /* nothing stored: the log's start */

/** FATAL for versions known to break promises: 2.1.0, 2.5.0, 2.10.0. */
must_check int kafka_version_check(struct err *err);
const char *kafka_library_version(void);

struct kafka_header {
	const char *name; /* NUL-terminated */
	struct slice value;
};

/* ---- messages ---- */

struct kafka_message; /* opaque: librdkafka's, owned by whoever holds it */
void kafka_message_free(struct kafka_message *m);
DEFINE_FREEP(struct kafka_message, kafka_message_free)
int32_t kafka_message_partition(const struct kafka_message *m);
int64_t kafka_message_offset(const struct kafka_message *m);
int64_t kafka_message_timestamp_ms(const struct kafka_message *m); /* -1: none */
struct slice kafka_message_key(const struct kafka_message *m);     /* absent: null */
struct slice kafka_message_value(const struct kafka_message *m);   /* absent: null */
/** The @index-th header in order; false behind the end. */
bool kafka_message_header(const struct kafka_message *m, size_t index, struct kafka_header *ret);

/* ---- consumer ---- */

struct kafka_consumer; /* opaque */

struct kafka_position {
	int32_t partition;
	int64_t offset; /* next to read; KAFKA_NO_OFFSET */
};

struct kafka_consumer_handlers {
	void (*message)(void *arg, struct kafka_message *m); /* takes @m */
	/** The group gave these partitions: answer, now or later, with kafka_consumer_assign(). */
	void (*assigned)(void *arg, const int32_t *partitions, size_t count);
	/** The group takes everything back: answer, now or later, with kafka_consumer_unassign().
	 * @lost: it already has. */
	void (*revoked)(void *arg, bool lost);
	/** Of note for the log.  FATAL: this consumer is over.  REJECTED with code -140: the named
	 * partition's position is outside the log, and it stands still until it is assigned anew.
	 */
	void (*error)(void *arg, const struct err *err);
};

/** @pairs: pass-through properties.  group.id, client.id and what the worker's promises need are
 * set over them. */
must_check int kafka_consumer_open(struct loop *l, const struct config_pair *pairs,
	size_t pair_count, const char *group, const char *topic,
	const struct kafka_consumer_handlers *handlers, void *arg, struct kafka_consumer **ret,
	struct err *err);
/** Leaves the group; blocks at most @timeout_ms.  Every message was freed before. */
void kafka_consumer_close(struct kafka_consumer *c, int64_t timeout_ms);
/** At most this many messages a turn of the loop, until it is set anew; 0, as at first, stands
 * still (heartbeats and rebalances go on). */
void kafka_consumer_credit(struct kafka_consumer *c, size_t messages);
/** Replaces what was assigned; nothing of it is paused.  Offsets only rise until the next one. */
must_check int kafka_consumer_assign(
	struct kafka_consumer *c, const struct kafka_position *p, size_t count, struct err *err);
void kafka_consumer_unassign(struct kafka_consumer *c);
/** At once: no message of it comes until it is resumed, which fetches anew what was queued here.
 * Idempotent: pausing what is paused does nothing. */
void kafka_consumer_pause(struct kafka_consumer *c, int32_t partition);
void kafka_consumer_resume(struct kafka_consumer *c, int32_t partition);
/** Asynchronous commit to the group, for lag tools; errors are of no interest. */
void kafka_consumer_commit(struct kafka_consumer *c, const struct kafka_position *p, size_t count);

/* ---- transactional producer: every call but _new may block; one thread ---- */

struct kafka_producer; /* opaque */

struct kafka_record {
	const char *topic;
	int32_t partition;
	struct slice key, value; /* absent: null */
	const struct kafka_header *headers;
	size_t header_count;
};

must_check int kafka_producer_open(const struct config_pair *pairs, size_t pair_count,
	const char *transactional_id, struct kafka_producer **ret, struct err *err);
/** Purges what is queued; waits at most a few seconds. */
void kafka_producer_close(struct kafka_producer *p);
/** init_transactions: fences every earlier producer of the id.  Needed before the first begin. */
must_check int kafka_producer_init(struct kafka_producer *p, int64_t timeout_ms, struct err *err);
must_check int kafka_producer_begin(struct kafka_producer *p, struct err *err);
/** Copies @r into the open transaction; serves the queue when it is full.  REJECTED: the record
 * itself cannot be sent (too large). */
must_check int kafka_producer_send(
	struct kafka_producer *p, const struct kafka_record *r, struct err *err);
/** OK means: the broker said so.  Any error, and 12 s without an answer are one: the caller closes
 * the handle and starts anew; nothing else is safe. */
must_check int kafka_producer_commit(struct kafka_producer *p, struct err *err);
void kafka_producer_abort(struct kafka_producer *p);
/** Serves callbacks; true when a transport error was seen since the last call. */
bool kafka_producer_poll(struct kafka_producer *p);

/* ---- questions, blocking ---- */

/** 0 partitions: the topic does not exist. */
must_check int kafka_partition_count(const struct config_pair *pairs, size_t pair_count,
	const char *topic, int64_t timeout_ms, int32_t *ret, struct err *err);
struct kafka_topic {
	const char *name;
	int32_t partitions;
	int16_t replication;
	bool compact;
};
/** Creates it; one that exists is no error. */
must_check int kafka_topic_create(const struct config_pair *pairs, size_t pair_count,
	const struct kafka_topic *t, int64_t timeout_ms, struct err *err);
