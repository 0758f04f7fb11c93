#include "common/kafka_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"

/* For every handle. */
static const struct kafka_setting common_presets[] = {
	/* Before 2.10.0 small requests wait for the acknowledgement of the last one. */
	{"socket.nagle.disable", "true", false},
	{NULL, NULL, false},
};

static const struct kafka_setting common_forced[] = {
	{"client.id", "onbehalf", false}, /* a long one crashes before 2.5.0 (#4689) */
	{"log.queue", "true", false},     /* its lines come to log_cb, not to stderr */
	{NULL, NULL, false},
};

/* What the operator may not set, and why.  A row with a value refuses only values that hold it. */
static const struct {
	const char *name, *value, *why;
} refused[] = {
	{"group.id", NULL, "the group is a setting of the worker"},
	{"transactional.id", NULL, "each session has its own"},
	{"enable.auto.commit", NULL, "positions are kept in PostgreSQL"},
	{"auto.commit.enable", NULL, "positions are kept in PostgreSQL"},
	{"enable.auto.offset.store", NULL, "positions are kept in PostgreSQL"},
	{"auto.offset.reset", NULL, "a position outside the log is never guessed"},
	{"isolation.level", NULL, "only committed records are read"},
	{"partition.assignment.strategy", "cooperative", "partitions are given back all at once"},
	{"group.protocol", "consumer", "partitions are given back all at once"},
};

/* https://github.com/confluentinc/librdkafka/blob/v2.15.0/CHANGELOG.md */
static const struct {
	int version; /* as rd_kafka_version(), without the release candidate */
	const char *why;
} banned[] = {
	{0x020100, "it repeats messages and crashes (#4249)"},
	{0x020500, "it crashes while it sends telemetry (#4826)"},
	{0x020a00, "it asks for metadata in a loop (#5088)"},
};

int kafka_version_check(struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(banned); i++)
		if (rd_kafka_version() >> 8 == banned[i].version)
			return err_set(err, ERR_FATAL, 0, "cannot use librdkafka %s: %s",
				rd_kafka_version_str(), banned[i].why);
	return 0;
}

const char *kafka_library_version(void)
{
	return rd_kafka_version_str();
}

/* ---- configurations ---- */

static int set(rd_kafka_conf_t *conf, const struct kafka_setting *s, struct err *err)
{
	char why[160];
	rd_kafka_conf_res_t rc = rd_kafka_conf_set(conf, s->name, s->value, why, sizeof(why));

	if (rc == RD_KAFKA_CONF_OK || (rc == RD_KAFKA_CONF_UNKNOWN && s->optional))
		return 0;
	return err_set(err, ERR_REJECTED, 0, "%s", why);
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_setting *table, struct err *err)
{
	for (; table && table->name; table++)
		if (set(conf, table, err) < 0)
			return -1;
	return 0;
}

static int check(const struct config_pair *pair, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (strcmp(pair->name, refused[i].name) != 0)
			continue;
		if (!refused[i].value)
			return err_set(err, ERR_REJECTED, 0, "%s cannot be set: %s", pair->name,
				refused[i].why);
		if (strstr(pair->value, refused[i].value))
			return err_set(err, ERR_REJECTED, 0, "%s cannot be %s: %s", pair->name,
				pair->value, refused[i].why);
	}
	return 0;
}

static int set_pairs(
	rd_kafka_conf_t *conf, const struct config_pair *pairs, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct kafka_setting s = {pairs[i].name, pairs[i].value, false};

		if (check(&pairs[i], err) < 0)
			return -1;
		if (set(conf, &s, err) == 0)
			continue;
		/* librdkafka quotes the value. */
		if (pairs[i].secret)
			(void)err_set(err, ERR_REJECTED, 0, "%s cannot be used", s.name);
		return -1;
	}
	return 0;
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_setting *presets,
	const struct config_pair *pairs, size_t pair_count, const struct kafka_setting *forced,
	struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	if (set_all(conf, common_presets, err) == 0 && set_all(conf, presets, err) == 0 &&
		set_pairs(conf, pairs, pair_count, err) == 0 &&
		set_all(conf, common_forced, err) == 0 && set_all(conf, forced, err) == 0)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

/* ---- handles ---- */

rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err)
{
	char why[200];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));

	if (!rk) {
		rd_kafka_conf_destroy(conf);
		(void)err_set(err, ERR_REJECTED, 0, "could not start librdkafka: %s", why);
		return NULL;
	}
	(void)rd_kafka_set_log_queue(rk, NULL);
	return rk;
}

struct ending {
	rd_kafka_t *rk;
	void (*after)(void *arg);
	void *arg;
};

static void *destroy(void *arg)
{
	struct ending *e = arg;

	if (rd_kafka_type(e->rk) == RD_KAFKA_CONSUMER)
		(void)rd_kafka_consumer_close(e->rk);
	rd_kafka_destroy(e->rk);
	if (e->after)
		e->after(e->arg);
	free(e);
	return NULL;
}

static struct timespec wall_in(int64_t ms)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_REALTIME, &at); /* the only one this join knows */
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

void kafka_handle_destroy(rd_kafka_t *rk, int64_t timeout_ms, void (*after)(void *arg), void *arg)
{
	struct timespec until = wall_in(timeout_ms);
	struct ending *e = mem_new(sizeof(*e));
	pthread_t thread;

	*e = (struct ending){rk, after, arg};
	if (pthread_create(&thread, NULL, destroy, e) != 0)
		abort(); /* no memory for a thread */
	if (pthread_timedjoin_np(thread, NULL, &until) != 0)
		(void)pthread_detach(thread);
}

/* ---- errors ---- */

/* What trying again does not mend. */
static const rd_kafka_resp_err_t rejected[] = {
	RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
	RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
	RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
	RD_KAFKA_RESP_ERR_INVALID_CONFIG,
	RD_KAFKA_RESP_ERR_INVALID_REQUEST,
	RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
	RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
	RD_KAFKA_RESP_ERR_INVALID_RECORD,
	RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,
	RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
	RD_KAFKA_RESP_ERR__INVALID_ARG,
};

static const rd_kafka_resp_err_t fatal[] = {
	RD_KAFKA_RESP_ERR__FATAL,
	RD_KAFKA_RESP_ERR__FENCED,
	RD_KAFKA_RESP_ERR__DESTROY,
	RD_KAFKA_RESP_ERR__STATE,
};

static enum err_kind kind_of(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(rejected); i++)
		if (rejected[i] == code)
			return ERR_REJECTED;
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		if (fatal[i] == code)
			return ERR_FATAL;
	return ERR_TRANSIENT;
}

int kafka_err_code(struct err *err, const char *what, rd_kafka_resp_err_t code, const char *detail)
{
	return err_set(err, kind_of(code), (int)code, "%s: %.180s", what,
		detail && *detail ? detail : rd_kafka_err2str(code));
}

/* Fatal, abortable, retriable, in this order; an error that is none of them counts as fatal.
 * https://github.com/confluentinc/librdkafka/blob/v2.0.2/INTRODUCTION.md#transactional-producer */
int kafka_err_take(struct err *err, const char *what, rd_kafka_error_t *error)
{
	bool again;

	if (!error)
		return 0;
	again = !rd_kafka_error_is_fatal(error) &&
	        (rd_kafka_error_txn_requires_abort(error) || rd_kafka_error_is_retriable(error));
	(void)err_set(err, again ? ERR_TRANSIENT : ERR_FATAL, (int)rd_kafka_error_code(error),
		"%s: %.180s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return -1;
}
