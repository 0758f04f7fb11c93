#include "worker/topics.h"

#include "common/kafka.h"

static int count(const struct options *o, const char *topic, int64_t timeout_ms, int32_t *ret,
	struct err *err)
{
	return kafka_partition_count(
		o->config.pairs, o->config.pair_count, topic, timeout_ms, ret, err);
}

/* Makes @topic exist with @wanted partitions; @ret has what it has. */
static int ensure(const struct options *o, const char *topic, int32_t wanted, int64_t timeout_ms,
	int32_t *ret, struct err *err)
{
	struct kafka_topic t = {topic, wanted, (int16_t)o->topics.replication, false};

	if (count(o, topic, timeout_ms, ret, err) < 0)
		return -1;
	if (*ret)
		return 0;
	if (!o->topics.create)
		return err_set(err, ERR_REJECTED, 0,
			"there is no topic %s: create it with %d partitions, or set topics.create "
			"= true",
			topic, (int)wanted);
	if (kafka_topic_create(o->config.pairs, o->config.pair_count, &t, timeout_ms, err) < 0)
		return -1;
	*ret = wanted;
	return 0;
}

int topics_ensure(const struct options *o, int64_t timeout_ms, struct err *err)
{
	const char *const outcomes[] = {o->topics.lead_result, o->topics.lead_reauth_required,
		o->topics.lead_revoked, o->topics.lead_invalid};
	int32_t wanted, found;

	if (ensure(o, o->topics.lead_create, (int32_t)o->topics.partitions, timeout_ms, &wanted,
		    err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		if (ensure(o, outcomes[i], wanted, timeout_ms, &found, err) < 0)
			return -1;
		if (found != wanted)
			return err_set(err, ERR_REJECTED, 0,
				"%s has %d partitions, %s has %d: they have to be equal",
				outcomes[i], (int)found, o->topics.lead_create, (int)wanted);
	}
	return 0;
}
