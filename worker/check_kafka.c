#include "worker/check_private.h"

#include <string.h>

#include "common/clock.h"
#include "common/kafka.h"

static const char *bootstrap(const struct options *o)
{
	for (size_t i = 0; i < o->config.pair_count; i++)
		if (strcmp(o->config.pairs[i].name, "bootstrap.servers") == 0)
			return o->config.pairs[i].value;
	return "";
}

void check_kafka(struct check *c)
{
	const struct options *o = c->options;
	int32_t partitions;
	struct err err;

	if (kafka_version_check(&err) < 0) {
		check_fail(c, "kafka", "%s: install another librdkafka", err.text);
		return;
	}
	if (kafka_partition_count(o->config.pairs, o->config.pair_count, o->topics.lead_create,
		    CHECK_LIMIT_MS, &partitions, &err) < 0) {
		check_fail(c, "kafka", "%s: %s: see [kafka] in the configuration", bootstrap(o),
			err.text);
		return;
	}
	c->kafka_answers = true;
	check_ok("kafka", "%s answers librdkafka %s", bootstrap(o), kafka_library_version());
}

/* ---- topics: outcomes go to the partition their lead came from, so there are as many ---- */

struct topic_check {
	struct check *check;
	int64_t until_ms;
	int32_t wanted; /* partitions of each */
	unsigned missing;
	bool failed;
};

/* False when it could not be asked for; 0: there is none. */
static bool count_partitions(struct topic_check *t, const char *topic, int32_t *ret)
{
	const struct options *o = t->check->options;
	int64_t left_ms = t->until_ms - clock_age_ms();
	struct err err;

	if (left_ms > 0 && kafka_partition_count(o->config.pairs, o->config.pair_count, topic,
				   left_ms, ret, &err) == 0)
		return true;
	check_fail(
		t->check, "topics", "%s: %s", topic, left_ms > 0 ? err.text : "no answer in time");
	t->failed = true;
	return false;
}

/* True when @topic is not there, which is noted. */
static bool is_missing(struct topic_check *t, const char *topic, int32_t partitions)
{
	if (partitions)
		return false;
	t->missing++;
	if (!t->check->options->topics.create) {
		check_fail(t->check, "topics",
			"%s does not exist: create it with %d partitions, or set topics.create = "
			"true",
			topic, (int)t->wanted);
		t->failed = true;
	}
	return true;
}

static void check_outcome_topic(struct topic_check *t, const char *topic)
{
	int32_t partitions;

	if (!count_partitions(t, topic, &partitions) || is_missing(t, topic, partitions) ||
		partitions == t->wanted)
		return;
	check_fail(t->check, "topics", "%s has %d partitions, %s has %d: %s %d", topic,
		(int)partitions, t->check->options->topics.lead_create, (int)t->wanted,
		partitions < t->wanted
			? "raise it with kafka-topics.sh --alter --partitions"
			: "outcomes go where their leads came from; create it anew with",
		(int)t->wanted);
	t->failed = true;
}

void check_topics(struct check *c)
{
	const struct options *o = c->options;
	const char *const outcomes[] = {o->topics.lead_result, o->topics.lead_reauth_required,
		o->topics.lead_revoked, o->topics.lead_invalid};
	struct topic_check t = {.check = c, .until_ms = clock_age_ms() + CHECK_LIMIT_MS};

	if (!c->kafka_answers) {
		check_fail(c, "topics", "not tried, since Kafka does not answer");
		return;
	}
	if (!count_partitions(&t, o->topics.lead_create, &t.wanted))
		return;
	if (!t.wanted) {
		t.wanted = (int32_t)o->topics.partitions;
		(void)is_missing(&t, o->topics.lead_create, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		check_outcome_topic(&t, outcomes[i]);
	if (t.failed)
		return;
	if (t.missing)
		check_ok("topics", "%u of 5 do not exist yet; run creates them with %d partitions",
			t.missing, (int)t.wanted);
	else
		check_ok("topics", "all 5 have %d partitions", (int)t.wanted);
}
