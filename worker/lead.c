#include "worker/lead.h"

#include <stdlib.h>

#include "common/kafka.h"
#include "common/mem.h"
#include "worker/partition.h"

struct lead *lead_new(void)
{
	struct lead *lead = mem_new(sizeof(*lead));

	list_init(&lead->node);
	return lead;
}

void lead_charge(struct lead *lead, size_t bytes)
{
	lead->bytes += bytes;
	lead->partition->bytes += bytes;
}

void lead_free(struct lead *lead)
{
	if (!lead)
		return;
	list_remove(&lead->node);
	if (lead->partition)
		lead->partition->bytes -= lead->bytes;
	kafka_message_free(lead->message);
	arena_release(&lead->arena);
	free(lead);
}

void lead_free_all(struct list *leads)
{
	struct list *node;

	while ((node = list_pop(leads)))
		lead_free(list_owner(node, struct lead, node));
}

const char *lead_park_name(enum lead_park park)
{
	static const char *const names[] = {
		[PARK_STATE] = "state",
		[PARK_RETRY] = "retry",
		[PARK_SHARE] = "share",
		[PARK_BEHIND] = "behind",
	};

	return names[park];
}
