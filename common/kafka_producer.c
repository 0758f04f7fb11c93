#include "common/kafka_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"

#define DESTROY_MS 5000
#define FULL_QUEUE_MS 10000 /* a transaction does not last longer */
#define METADATA_MS 5000
/*
 * -1 is advised, since an error of time leaves client and broker of two minds, but -1
 * does not return while the coordinator is away.  Whoever gets the error closes the
 * handle, so its mind is of no consequence.
 */
#define COMMIT_MS 12000
#define ABORT_MS 5000

static const struct kafka_setting presets[] = {
	/* An open transaction holds up every reader of its partitions for so long. */
	{"transaction.timeout.ms", "10000", false},
	{"message.timeout.ms", "9000", false},
	{"socket.timeout.ms", "10000", false},
	{"linger.ms", "2", false},
	{"compression.codec", "lz4", false},
	/* The first request of a transaction meets the end of the one before. */
	{"retry.backoff.ms", "5", false},
	{"partitioner", "murmur2_random", false}, /* as Java's */
	{"message.max.bytes", "2000000", false},
	{NULL, NULL, false},
};

struct kafka_producer {
	rd_kafka_t *rk;
	rd_kafka_topic_t **topics; /* whose metadata is here */
	size_t topic_count;
	bool transport_error;
	rd_kafka_resp_err_t undelivered; /* the first failure in this transaction */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
	struct kafka_producer *p = arg;

	(void)rk;
	if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && p->undelivered == RD_KAFKA_RESP_ERR_NO_ERROR)
		p->undelivered = m->err;
}

/* Whatever it is, it came between two requests.
 * https://github.com/confluentinc/librdkafka/issues/5423 */
static void on_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
	struct kafka_producer *p = arg;

	(void)rk;
	(void)code;
	(void)text;
	p->transport_error = true;
}

static void ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)line;
}

int kafka_producer_open(const struct config_pair *pairs, size_t pair_count,
	const char *transactional_id, struct kafka_producer **ret, struct err *err)
{
	const struct kafka_setting forced[] = {
		{"transactional.id", transactional_id, false},
		{NULL, NULL, false},
	};
	rd_kafka_conf_t *conf = kafka_conf_new(presets, pairs, pair_count, forced, err);
	struct kafka_producer *p;

	if (!conf)
		return -1;
	p = mem_new(sizeof(*p));
	rd_kafka_conf_set_opaque(conf, p);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, ignore_log);
	p->rk = kafka_handle_new(RD_KAFKA_PRODUCER, conf, err);
	if (!p->rk) {
		free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void kafka_producer_close(struct kafka_producer *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->topic_count; i++)
		rd_kafka_topic_destroy(p->topics[i]);
	free(p->topics);
	(void)rd_kafka_purge(p->rk,
		RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_handle_destroy(p->rk, DESTROY_MS, free, p);
}

int kafka_producer_init(struct kafka_producer *p, int64_t timeout_ms, struct err *err)
{
	return kafka_err_take(err, "could not take over the transactional id",
		rd_kafka_init_transactions(p->rk, (int)timeout_ms));
}

int kafka_producer_begin(struct kafka_producer *p, struct err *err)
{
	char why[160];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(p->rk, why, sizeof(why));

	/* It may block for ever then.  https://github.com/confluentinc/librdkafka/issues/4420 */
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, ERR_FATAL, (int)code, "could not begin a transaction: %s", why);
	p->undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
	return kafka_err_take(
		err, "could not begin a transaction", rd_kafka_begin_transaction(p->rk));
}

/* ---- records ---- */

/* Asks for the partitions of a new topic at once: the first record would else wait up to 1 s
 * (#5032). */
static rd_kafka_topic_t *find_topic(struct kafka_producer *p, const char *name, struct err *err)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *topic;
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < p->topic_count; i++)
		if (strcmp(rd_kafka_topic_name(p->topics[i]), name) == 0)
			return p->topics[i];
	topic = rd_kafka_topic_new(p->rk, name, NULL);
	if (!topic) {
		(void)kafka_err_code(err, "cannot use the topic", rd_kafka_last_error(), NULL);
		return NULL;
	}
	code = rd_kafka_metadata(p->rk, 0, topic, &metadata, METADATA_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_topic_destroy(topic);
		(void)kafka_err_code(err, "could not look at the topic", code, NULL);
		return NULL;
	}
	rd_kafka_metadata_destroy(metadata);
	p->topics = mem_grow(p->topics, (p->topic_count + 1) * sizeof(rd_kafka_topic_t *));
	p->topics[p->topic_count++] = topic;
	return topic;
}

static rd_kafka_headers_t *build_headers(const struct kafka_record *r)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(r->header_count);

	for (size_t i = 0; i < r->header_count; i++) {
		const struct kafka_header *h = &r->headers[i];

		(void)rd_kafka_header_add(
			headers, h->name, -1, h->value.data, (ssize_t)h->value.len);
	}
	return headers;
}

/* The varargs form: rd_kafka_produceva() frees headers twice before 2.12.0 (#4628). */
static rd_kafka_resp_err_t produce(
	struct kafka_producer *p, rd_kafka_topic_t *topic, const struct kafka_record *r)
{
	rd_kafka_headers_t *headers = build_headers(r);
	rd_kafka_resp_err_t code = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(topic),
		RD_KAFKA_V_PARTITION(r->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY((void *)r->key.data, r->key.len),
		RD_KAFKA_V_VALUE((void *)r->value.data, r->value.len), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_END);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	return code;
}

int kafka_producer_send(struct kafka_producer *p, const struct kafka_record *r, struct err *err)
{
	rd_kafka_topic_t *topic = find_topic(p, r->topic, err);
	int64_t until_ms = clock_age_ms() + FULL_QUEUE_MS;
	rd_kafka_resp_err_t code;

	assert(r->partition >= 0);
	if (!topic)
		return -1;
	while ((code = produce(p, topic, r)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
		clock_age_ms() < until_ms)
		(void)rd_kafka_poll(p->rk, 10);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR
	               ? 0
	               : kafka_err_code(err, "could not send a record", code, NULL);
}

/* ---- ends of transactions ---- */

int kafka_producer_commit(struct kafka_producer *p, struct err *err)
{
	int rc = kafka_err_take(
		err, "could not commit", rd_kafka_commit_transaction(p->rk, COMMIT_MS));

	/* why a record was refused says more than that the transaction failed by it */
	if (p->undelivered != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_err_code(err, "a record was not delivered", p->undelivered, NULL);
	return rc;
}

void kafka_producer_abort(struct kafka_producer *p)
{
	rd_kafka_error_t *error = rd_kafka_abort_transaction(p->rk, ABORT_MS);

	if (error)
		rd_kafka_error_destroy(error);
}

bool kafka_producer_poll(struct kafka_producer *p)
{
	bool seen;

	while (rd_kafka_poll(p->rk, 0) > 0)
		;
	seen = p->transport_error;
	p->transport_error = false;
	return seen;
}
