#include "common/kafka_private.h"

#include <string.h>

#include "common/mem.h"

/* A handle that was only asked something has nothing to wait for. */
#define DESTROY_MS 2000

static void handle_destroyp(rd_kafka_t **rk)
{
	if (*rk)
		kafka_handle_destroy(*rk, DESTROY_MS, NULL, NULL);
}

static void topic_destroyp(rd_kafka_topic_t **topic)
{
	if (*topic)
		rd_kafka_topic_destroy(*topic);
}

static void ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)line;
}

static rd_kafka_t *open_handle(
	rd_kafka_type_t type, const struct config_pair *pairs, size_t pair_count, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(NULL, pairs, pair_count, NULL, err);

	if (!conf)
		return NULL;
	rd_kafka_conf_set_log_cb(conf, ignore_log);
	return kafka_handle_new(type, conf, err);
}

static int read_count(const struct rd_kafka_metadata *metadata, int32_t *ret, struct err *err)
{
	const struct rd_kafka_metadata_topic *t;

	if (metadata->topic_cnt != 1)
		return err_set(err, ERR_TRANSIENT, 0, "the broker does not know the topic yet");
	t = &metadata->topics[0];
	if (t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		*ret = 0;
		return 0;
	}
	/* A new topic has its partitions before their leaders. */
	if (t->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		t->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		return kafka_err_code(err, "could not look at a topic", t->err, NULL);
	*ret = (int32_t)t->partition_cnt;
	return 0;
}

/* Asked by a consumer's handle: a producer's would make the broker create the topic. */
int kafka_partition_count(const struct config_pair *pairs, size_t pair_count, const char *topic,
	int64_t timeout_ms, int32_t *ret, struct err *err)
{
	freed_by(handle_destroyp) rd_kafka_t *rk =
		open_handle(RD_KAFKA_CONSUMER, pairs, pair_count, err);
	freed_by(topic_destroyp) rd_kafka_topic_t *t =
		rk ? rd_kafka_topic_new(rk, topic, NULL) : NULL;
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code;
	int rc;

	if (!rk)
		return -1;
	if (!t)
		return kafka_err_code(err, "cannot use the topic", rd_kafka_last_error(), NULL);
	code = rd_kafka_metadata(rk, 0, t, &metadata, (int)timeout_ms);
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		*ret = 0;
		return 0;
	}
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_err_code(err, "could not reach Kafka", code, NULL);
	rc = read_count(metadata, ret, err);
	rd_kafka_metadata_destroy(metadata);
	return rc;
}

/* ---- topics ---- */

static void queue_destroyp(rd_kafka_queue_t **queue)
{
	if (*queue)
		rd_kafka_queue_destroy(*queue);
}

static void event_destroyp(rd_kafka_event_t **event)
{
	if (*event)
		rd_kafka_event_destroy(*event);
}

static void new_topic_destroyp(rd_kafka_NewTopic_t **topic)
{
	if (*topic)
		rd_kafka_NewTopic_destroy(*topic);
}

static int read_created(rd_kafka_event_t *event, struct err *err)
{
	const rd_kafka_CreateTopics_result_t *result;
	const rd_kafka_topic_result_t **topics;
	rd_kafka_resp_err_t code;
	size_t count = 0;

	if (!event)
		return err_set(err, ERR_TRANSIENT, 0, "could not create a topic: no answer");
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_err_code(err, "could not create a topic", rd_kafka_event_error(event),
			rd_kafka_event_error_string(event));
	result = rd_kafka_event_CreateTopics_result(event);
	topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
	if (count != 1)
		return err_set(err, ERR_TRANSIENT, 0, "could not create a topic: no answer");
	code = rd_kafka_topic_result_error(topics[0]);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	return kafka_err_code(err, "could not create a topic", code,
		rd_kafka_topic_result_error_string(topics[0]));
}

/* Waits until every partition of the new topic has its leader, or the time is over. */
static int create(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, int64_t timeout_ms, struct err *err)
{
	freed_by(queue_destroyp) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	freed_by(event_destroyp) rd_kafka_event_t *event = NULL;
	char why[160];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, (int)timeout_ms, why, sizeof(why));
	(void)rd_kafka_AdminOptions_set_operation_timeout(
		options, (int)timeout_ms, why, sizeof(why));
	rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
	rd_kafka_AdminOptions_destroy(options);
	event = rd_kafka_queue_poll(queue, (int)timeout_ms + 500);
	return read_created(event, err);
}

int kafka_topic_create(const struct config_pair *pairs, size_t pair_count,
	const struct kafka_topic *t, int64_t timeout_ms, struct err *err)
{
	freed_by(handle_destroyp) rd_kafka_t *rk =
		open_handle(RD_KAFKA_PRODUCER, pairs, pair_count, err);
	freed_by(new_topic_destroyp) rd_kafka_NewTopic_t *topic = NULL;
	char why[160];

	if (!rk)
		return -1;
	topic = rd_kafka_NewTopic_new(t->name, t->partitions, t->replication, why, sizeof(why));
	if (!topic)
		return err_set(err, ERR_REJECTED, 0, "cannot create topic %s: %s", t->name, why);
	(void)rd_kafka_NewTopic_set_config(
		topic, "cleanup.policy", t->compact ? "compact" : "delete");
	if (create(rk, topic, timeout_ms, err) == 0)
		return 0;
	return err_prefix(err, "topic %s", t->name);
}
