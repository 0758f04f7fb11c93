#include "worker/partition.h"

#include <assert.h>
#include <stdlib.h>

#include "common/kafka.h"
#include "common/mem.h"

struct partition *partition_new(int32_t number, size_t window, int64_t position)
{
	struct partition *p = mem_new(sizeof(*p));

	p->number = number;
	p->start = position;
	p->read = p->accepted = position > 0 ? position - 1 : -1;
	p->mark = -1;
	list_init(&p->undecoded);
	p->committed = position;
	p->joins = true;
	p->window = window_new(window, position > 0 ? position : 0);
	return p;
}

static void held_free(struct held *h)
{
	kafka_message_free(h->message);
	free(h);
}

void partition_free(struct partition *p)
{
	size_t pos = 0;
	struct held *h;

	if (!p)
		return;
	while ((h = map_next(&p->held, &pos)))
		held_free(h);
	map_release(&p->held);
	window_free(p->window);
	free(p);
}

void partition_hold(struct partition *p, int64_t offset, struct kafka_message *m)
{
	struct held *h = mem_new(sizeof(*h));

	assert(!map_get(&p->held, &offset, sizeof(offset)));
	h->offset = offset;
	h->message = m;
	p->bytes += kafka_message_value(m).len;
	map_put(&p->held, &h->offset, sizeof(h->offset), h);
}

struct kafka_message *partition_held(const struct partition *p, int64_t offset)
{
	struct held *h = map_get(&p->held, &offset, sizeof(offset));

	return h ? h->message : NULL;
}

void partition_let_go(struct partition *p, int64_t offset)
{
	struct held *h = map_remove(&p->held, &offset, sizeof(offset));

	if (!h)
		return;
	p->bytes -= kafka_message_value(h->message).len;
	held_free(h);
	(void)window_end(p->window, offset);
}

int64_t partition_position(const struct partition *p)
{
	if (p->start < 0 && p->read < 0)
		return -1;
	return window_position(p->window);
}
