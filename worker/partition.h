/*
 * worker/partition.h - an input partition that this session has taken.
 *
 * Its window, its numbers as the last tick left them, and the bytes that its
 * unpublished lead.invalid records still need.  Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/list.h"
#include "common/map.h"
#include "worker/window.h"

struct kafka_message;

struct partition {
	int32_t number;
	int32_t incarnation;
	int64_t epoch; /* of our ownership, + 1 at each proof */
	bool joins;    /* not in a tick of this session yet */
	struct window *window;
	int64_t start;        /* the position it was taken with; -1: the log's start */
	int64_t read;         /* highest offset that intake has read */
	int64_t accepted;     /* highest offset given to a tick */
	int64_t last_outcome; /* sequence given last, as the last tick said */
	int64_t handed;       /* given to the publisher */
	int64_t confirmed;    /* 1…n are published */
	int64_t committed;    /* position last committed to Kafka, for lag tools */
	size_t bytes;         /* of records held in memory for it */
	bool paused;

	/* Careful: takes brought no progress, so a record may be killing us.  One at a time is
	 * marked in the ledger, decoded, accepted. */
	int careful;      /* records still to be read so; 0: not careful */
	int64_t harmless; /* records up to here were accepted before: they are read again as always
	                   */
	int64_t mark;     /* the offset marked when the worker died; -1: none */
	enum careful_state { CAREFUL_IDLE, CAREFUL_MARKING, CAREFUL_ACCEPTING } careful_state;
	struct list undecoded; /* struct lead */
	uint64_t mark_order;   /* which mark of the session is its own */
	struct map held;       /* struct held by offset */
};

struct held { /* the record behind an unpublished lead.invalid */
	int64_t offset;
	struct kafka_message *message;
};

struct partition *partition_new(int32_t number, size_t window, int64_t position);
void partition_free(struct partition *p);
/** Keeps @m (takes it) until the lead.invalid of @offset is published. */
void partition_hold(struct partition *p, int64_t offset, struct kafka_message *m);
/** Borrowed; NULL: not read again yet. */
struct kafka_message *partition_held(const struct partition *p, int64_t offset);
/** Its lead.invalid is published: forgets the bytes and ends the record in the window. */
void partition_let_go(struct partition *p, int64_t offset);
/** The position for ledger and Kafka: -1 while nothing was read from the log's start. */
int64_t partition_position(const struct partition *p);
