#include "common/kafka_private.h"

/* A struct kafka_message is a rd_kafka_message_t by another name. */
static rd_kafka_message_t *real(const struct kafka_message *m)
{
	return (rd_kafka_message_t *)m;
}

void kafka_message_free(struct kafka_message *m)
{
	if (m)
		rd_kafka_message_destroy(real(m));
}

int32_t kafka_message_partition(const struct kafka_message *m)
{
	return real(m)->partition;
}

int64_t kafka_message_offset(const struct kafka_message *m)
{
	return real(m)->offset;
}

int64_t kafka_message_timestamp_ms(const struct kafka_message *m)
{
	rd_kafka_timestamp_type_t type;
	int64_t at_ms = rd_kafka_message_timestamp(real(m), &type);

	return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : at_ms;
}

struct slice kafka_message_key(const struct kafka_message *m)
{
	return (struct slice){real(m)->key, real(m)->key_len};
}

struct slice kafka_message_value(const struct kafka_message *m)
{
	return (struct slice){real(m)->payload, real(m)->len};
}

bool kafka_message_header(const struct kafka_message *m, size_t index, struct kafka_header *ret)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t len;

	/* They are parsed at the first question and kept in the message. */
	if (rd_kafka_message_headers(real(m), &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	if (rd_kafka_header_get_all(headers, index, &ret->name, &value, &len) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	ret->value = (struct slice){value, len};
	return true;
}
