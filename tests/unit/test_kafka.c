#include "common/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/clock.h"

/*
 * Against librdkafka's own mock of a cluster, which is enough for what is asked of it and
 * for errors put in on purpose; it knows no isolation.  The real one is in tests/integration.
 */

#define TOPIC "events"
#define PARTITIONS 2
#define END_TXN 26 /* https://kafka.apache.org/protocol#protocol_api_keys */

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;
static struct config_pair pairs[2];

static int start_cluster(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[100];

	(void)state;
	rd_kafka_conf_set_log_cb(conf, NULL);
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	cluster = rd_kafka_mock_cluster_new(host, 1);
	pairs[0].name = strdup("bootstrap.servers");
	pairs[0].value = strdup(rd_kafka_mock_cluster_bootstraps(cluster));
	return rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 1);
}

static int stop_cluster(void **state)
{
	(void)state;
	free(pairs[0].name);
	free(pairs[0].value);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return 0;
}

static void kafka_producer_closep(struct kafka_producer **p)
{
	kafka_producer_close(*p);
}

/* ---- properties ---- */

static void ignore_message(void *arg, struct kafka_message *m)
{
	(void)arg;
	kafka_message_free(m);
}

static int try_property(const char *name, const char *value, bool secret, struct err *err)
{
	static const struct kafka_consumer_handlers handlers = {.message = ignore_message};
	freed_by(loop_freep) struct loop *l = loop_new();
	struct config_pair pair = {(char *)name, (char *)value, secret};
	struct kafka_consumer *c;
	int rc = kafka_consumer_open(l, &pair, 1, "group", TOPIC, &handlers, NULL, &c, err);

	if (rc == 0)
		kafka_consumer_close(c, 5000);
	return rc;
}

static void properties_that_would_break_a_promise_are_refused_by_name(void **state)
{
	static const char *const rows[][2] = {
		{"group.id", "mine"},
		{"transactional.id", "mine"},
		{"enable.auto.commit", "true"},
		{"auto.commit.enable", "false"},
		{"enable.auto.offset.store", "true"},
		{"auto.offset.reset", "latest"},
		{"isolation.level", "read_uncommitted"},
		{"partition.assignment.strategy", "range,cooperative-sticky"},
		{"group.protocol", "consumer"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(try_property(rows[i][0], rows[i][1], false, &err), -1);
		assert_int_equal(err.kind, ERR_REJECTED);
		assert_memory_equal(err.text, rows[i][0], strlen(rows[i][0]));
	}
	assert_int_equal(
		try_property("partition.assignment.strategy", "roundrobin", false, &err), 0);
}

static void a_property_that_cannot_be_used_is_named_and_a_secret_not_quoted(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(try_property("no.such.property", "1", false, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_non_null(strstr(err.text, "no.such.property"));
	assert_int_equal(try_property("fetch.min.bytes", "hunter2", true, &err), -1);
	assert_non_null(strstr(err.text, "fetch.min.bytes"));
	assert_null(strstr(err.text, "hunter2"));
}

static void the_installed_library_is_one_we_can_use(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(kafka_version_check(&err), 0);
	assert_string_equal(kafka_library_version(), rd_kafka_version_str());
}

/* ---- questions ---- */

static void partitions_are_counted(void **state)
{
	struct err err;
	int32_t count = -1;

	(void)state;
	assert_int_equal(kafka_partition_count(pairs, 1, TOPIC, 5000, &count, &err), 0);
	assert_int_equal(count, PARTITIONS);
}

static void without_a_broker_a_question_ends_in_its_time(void **state)
{
	struct config_pair nowhere = {(char *)"bootstrap.servers", (char *)"127.0.0.1:1", false};
	struct kafka_topic topic = {"x", 1, 1, false};
	int64_t from_ms = clock_age_ms();
	struct err err;
	int32_t count = -1;

	(void)state;
	assert_int_equal(kafka_partition_count(&nowhere, 1, "x", 200, &count, &err), -1);
	assert_int_equal(err.kind, ERR_TRANSIENT);
	assert_int_equal(count, -1);
	assert_int_equal(kafka_topic_create(&nowhere, 1, &topic, 200, &err), -1);
	assert_int_equal(err.kind, ERR_TRANSIENT);
	topic.partitions = 200000;
	assert_int_equal(kafka_topic_create(&nowhere, 1, &topic, 200, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_true(clock_age_ms() - from_ms < 8000);
}

/* ---- the producer ---- */

static struct kafka_producer *open_producer(const char *id)
{
	struct kafka_producer *p = NULL;
	struct err err;

	assert_int_equal(kafka_producer_open(pairs, 1, id, &p, &err), 0);
	assert_int_equal(kafka_producer_init(p, 10000, &err), 0);
	return p;
}

static int send_one(struct kafka_producer *p, int32_t partition, size_t len, struct err *err)
{
	static char value[3000000];
	static const struct kafka_header headers[] = {
		{"name", {"abc", 3}}, {"null", {NULL, 0}}, {"empty", {"", 0}}};
	struct kafka_record r = {
		.topic = TOPIC,
		.partition = partition,
		.key = partition ? SLICE("key") : (struct slice){0},
		.value = {value, len},
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
	};

	return kafka_producer_send(p, &r, err);
}

static void send_many(struct kafka_producer *p, int count)
{
	struct err err;

	assert_int_equal(kafka_producer_begin(p, &err), 0);
	for (int i = 0; i < count; i++)
		assert_int_equal(send_one(p, i % PARTITIONS, 10, &err), 0);
	assert_int_equal(kafka_producer_commit(p, &err), 0);
}

static void a_record_that_is_too_large_is_rejected_and_the_others_go_on(void **state)
{
	freed_by(kafka_producer_closep) struct kafka_producer *p = open_producer("large");
	struct err err;

	(void)state;
	assert_int_equal(kafka_producer_begin(p, &err), 0);
	assert_int_equal(send_one(p, 0, 2500000, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_int_equal(send_one(p, 0, 1, &err), 0);
	assert_int_equal(kafka_producer_commit(p, &err), 0);
	assert_false(kafka_producer_poll(p));
}

static void an_error_at_the_end_of_a_transaction_is_not_a_commit(void **state)
{
	static const struct {
		rd_kafka_resp_err_t code;
		enum err_kind kind;
	} rows[] = {
		{RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, ERR_FATAL},
		{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, ERR_TRANSIENT},
		{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_FATAL},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(kafka_producer_closep) struct kafka_producer *p = open_producer("end");

		assert_int_equal(kafka_producer_begin(p, &err), 0);
		assert_int_equal(send_one(p, 0, 1, &err), 0);
		rd_kafka_mock_push_request_errors(cluster, END_TXN, 1, rows[i].code);
		assert_int_equal(kafka_producer_commit(p, &err), -1);
		assert_int_equal(err.kind, rows[i].kind);
		if (rows[i].kind != ERR_FATAL)
			continue;
		assert_int_equal(kafka_producer_begin(p, &err), -1); /* and does not hang */
		assert_int_equal(err.kind, ERR_FATAL);
	}
}

static void a_broker_that_goes_away_is_a_transport_error_once(void **state)
{
	freed_by(kafka_producer_closep) struct kafka_producer *p = open_producer("away");
	int64_t until_ms = clock_age_ms() + 5000;
	bool seen = false;

	(void)state;
	assert_false(kafka_producer_poll(p));
	rd_kafka_mock_broker_set_down(cluster, 1);
	while (!seen && clock_age_ms() < until_ms)
		seen = kafka_producer_poll(p);
	rd_kafka_mock_broker_set_up(cluster, 1);
	assert_true(seen);
}

/* ---- the consumer ---- */

struct reader {
	struct kafka_consumer *consumer;
	int assigned, revoked, got, in_turn, headers;
	int64_t next[PARTITIONS];
	struct err err;
};

static void on_message(void *arg, struct kafka_message *m)
{
	struct reader *r = arg;
	int32_t partition = kafka_message_partition(m);
	struct kafka_header h;

	assert_true(kafka_message_offset(m) >= r->next[partition]);
	r->next[partition] = kafka_message_offset(m) + 1;
	r->got++;
	r->in_turn++;
	assert_true(kafka_message_timestamp_ms(m) > 0);
	assert_int_equal(kafka_message_key(m).data != NULL, partition != 0);
	assert_true(kafka_message_header(m, 0, &h));
	assert_string_equal(h.name, "name");
	assert_int_equal(h.value.len, 3);
	assert_true(kafka_message_header(m, 1, &h));
	assert_null(h.value.data);
	assert_true(kafka_message_header(m, 2, &h));
	assert_non_null(h.value.data);
	assert_int_equal(h.value.len, 0);
	assert_false(kafka_message_header(m, 3, &h));
	kafka_message_free(m);
}

static void assign(struct reader *r, int64_t from)
{
	struct kafka_position all[PARTITIONS];
	struct err err;

	for (int32_t i = 0; i < PARTITIONS; i++) {
		all[i] = (struct kafka_position){i, from};
		r->next[i] = 0;
	}
	r->got = 0;
	assert_int_equal(kafka_consumer_assign(r->consumer, all, PARTITIONS, &err), 0);
}

static void on_assigned(void *arg, const int32_t *partitions, size_t count)
{
	struct reader *r = arg;

	(void)partitions;
	assert_int_equal(count, PARTITIONS);
	r->assigned++;
}

static void on_revoked(void *arg, bool lost)
{
	struct reader *r = arg;

	(void)lost;
	r->revoked++;
	kafka_consumer_unassign(r->consumer);
}

static void on_error(void *arg, const struct err *err)
{
	struct reader *r = arg;

	r->err = *err;
}

static void turn_until(struct loop *l, struct reader *r, const int *counter, int value)
{
	int64_t until_ms = clock_age_ms() + 20000;

	while (*counter < value && clock_age_ms() < until_ms) {
		r->in_turn = 0;
		loop_turn(l, 100);
	}
	assert_true(*counter >= value);
}

static void turn_for(struct loop *l, int64_t ms)
{
	int64_t until_ms = clock_age_ms() + ms;

	while (clock_age_ms() < until_ms)
		loop_turn(l, 10);
}

static void read_to_the_end(struct loop *l, struct reader *r)
{
	while (r->next[0] < 100 || r->next[1] < 100)
		loop_turn(l, 1000);
}

static void nothing_comes_without_credit_and_no_more_than_it_a_turn(
	struct loop *l, struct reader *r)
{
	assign(r, KAFKA_NO_OFFSET);
	turn_for(l, 300);
	assert_int_equal(r->got, 0);
	kafka_consumer_credit(r->consumer, 7);
	while (r->got < 200) {
		r->in_turn = 0;
		loop_turn(l, 1000);
		assert_in_range(r->in_turn, 0, 7);
	}
}

static void nothing_comes_while_paused_and_all_the_rest_after(struct loop *l, struct reader *r)
{
	assign(r, 50); /* a position is the next to read */
	turn_until(l, r, &r->got, 20);
	kafka_consumer_pause(r->consumer, 0);
	kafka_consumer_pause(r->consumer, 0);
	kafka_consumer_pause(r->consumer, 1);
	r->got = 0;
	turn_for(l, 300);
	assert_int_equal(r->got, 0);
	kafka_consumer_resume(r->consumer, 0);
	kafka_consumer_resume(r->consumer, 0);
	kafka_consumer_resume(r->consumer, 1);
	read_to_the_end(l, r);
}

static void a_pause_ends_with_its_assignment(struct loop *l, struct reader *r)
{
	kafka_consumer_pause(r->consumer, 0);
	kafka_consumer_unassign(r->consumer);
	assign(r, 0);
	read_to_the_end(l, r);
	assert_true(r->got >= 200);
}

static void a_position_outside_the_log_is_said_and_never_guessed(struct loop *l, struct reader *r)
{
	assign(r, 100000);
	while (r->err.kind != ERR_REJECTED)
		loop_turn(l, 1000);
	assert_int_equal(r->err.code, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
	assert_int_equal(r->got, 0);
}

/* One test for all: the mock takes three seconds to form a group. */
static void a_consumer_gives_each_message_once_and_only_on_credit(void **state)
{
	static const struct kafka_consumer_handlers handlers = {
		on_message, on_assigned, on_revoked, on_error};
	freed_by(kafka_producer_closep) struct kafka_producer *p = open_producer("feed");
	freed_by(loop_freep) struct loop *l = loop_new();
	struct reader r = {0};
	struct err err;
	int rc;

	(void)state;
	send_many(p, 200);
	rc = kafka_consumer_open(l, pairs, 1, "readers", TOPIC, &handlers, &r, &r.consumer, &err);
	assert_int_equal(rc, 0);
	turn_until(l, &r, &r.assigned, 1);
	nothing_comes_without_credit_and_no_more_than_it_a_turn(l, &r);
	nothing_comes_while_paused_and_all_the_rest_after(l, &r);
	a_pause_ends_with_its_assignment(l, &r);
	a_position_outside_the_log_is_said_and_never_guessed(l, &r);
	kafka_consumer_close(r.consumer, 5000);
	assert_int_equal(r.revoked, 0);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(properties_that_would_break_a_promise_are_refused_by_name),
		TEST(a_property_that_cannot_be_used_is_named_and_a_secret_not_quoted),
		TEST(the_installed_library_is_one_we_can_use),
		TEST(partitions_are_counted),
		TEST(without_a_broker_a_question_ends_in_its_time),
		TEST(a_record_that_is_too_large_is_rejected_and_the_others_go_on),
		TEST(an_error_at_the_end_of_a_transaction_is_not_a_commit),
		TEST(a_broker_that_goes_away_is_a_transport_error_once),
		TEST(a_consumer_gives_each_message_once_and_only_on_credit),
	};

	return cmocka_run_group_tests(tests, start_cluster, stop_cluster);
}
