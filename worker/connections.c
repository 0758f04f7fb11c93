#include "worker/connections.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/secret.h"
#include "worker/outcome_event.h"

struct subject { /* how an event names a connection */
	struct connection *connection;
	size_t len;
	char key[];
};

void connections_init(struct connections *cs)
{
	memset(cs, 0, sizeof(*cs));
}

/* The texts of a connection, in the order of ledger.connections() from column 6 on. */
static char **texts(struct connection *c, size_t i)
{
	char **const all[] = {&c->client, &c->environment, &c->token_source, &c->grant_ref,
		&c->user_id, &c->organization_id, &c->org_id, &c->sf_user_id, &c->host,
		&c->login_host, &c->external_id_field, &c->write_mode};

	return i < ARRAY_LEN(all) ? all[i] : NULL;
}

void connection_forget_token(struct connection *c)
{
	if (c->token.text)
		secret_zero(c->token.text, strlen(c->token.text));
	free(steal(&c->token.text));
	c->token.state = TOKEN_NONE;
	c->token.expires_wall_ms = 0;
}

static void connection_free(struct connection *c)
{
	char **t;

	free(c->state);
	for (size_t i = 0; (t = texts(c, i)); i++)
		free(*t);
	connection_forget_token(c);
	free(c);
}

void connections_release(struct connections *cs)
{
	size_t pos = 0;
	void *value;

	while ((value = map_next(&cs->by_subject, &pos)))
		free(value);
	pos = 0;
	while ((value = map_next(&cs->by_id, &pos)))
		connection_free(value);
	pos = 0;
	while ((value = map_next(&cs->orgs, &pos)))
		free(value);
	map_release(&cs->by_subject);
	map_release(&cs->by_id);
	map_release(&cs->orgs);
}

struct connection *connections_find(
	const struct connections *cs, const unsigned char id[CONNECTION_ID_BYTES])
{
	return map_get(&cs->by_id, id, CONNECTION_ID_BYTES);
}

struct connection *connections_get(
	struct connections *cs, const unsigned char id[CONNECTION_ID_BYTES])
{
	struct connection *c = connections_find(cs, id);

	if (c)
		return c;
	c = mem_new(sizeof(*c));
	memcpy(c->id, id, CONNECTION_ID_BYTES);
	uuid_text(id, c->text);
	list_init(&c->lane.queue);
	list_init(&c->lane.ready);
	list_init(&c->token.node);
	map_put(&cs->by_id, c->id, CONNECTION_ID_BYTES, c);
	return c;
}

static void subject_key(
	struct buf *b, struct slice source, struct slice user_id, struct slice organization_id)
{
	buf_add_be32(b, (uint32_t)source.len);
	buf_add(b, source.data, source.len);
	buf_add_be32(b, (uint32_t)user_id.len);
	buf_add(b, user_id.data, user_id.len);
	buf_add(b, organization_id.data ? "+" : "-", 1);
	if (organization_id.data)
		buf_add(b, organization_id.data, organization_id.len);
}

struct connection *connections_by_subject(const struct connections *cs, struct slice source,
	struct slice user_id, struct slice organization_id)
{
	freed_by(buf_release) struct buf key = {0};
	struct subject *s;

	subject_key(&key, source, user_id, organization_id);
	s = map_get(&cs->by_subject, key.data, key.len);
	return s ? s->connection : NULL;
}

void connections_note_subject(struct connections *cs, struct slice source, struct slice user_id,
	struct slice organization_id, struct connection *c)
{
	freed_by(buf_release) struct buf key = {0};
	struct subject *s;

	subject_key(&key, source, user_id, organization_id);
	s = map_get(&cs->by_subject, key.data, key.len);
	if (!s) {
		s = mem_new(sizeof(*s) + key.len);
		memcpy(s->key, key.data, key.len);
		s->len = key.len;
		map_put(&cs->by_subject, s->key, s->len, s);
	}
	s->connection = c;
}

static struct org *org_get(struct connections *cs, const char *id)
{
	struct org *o = map_get(&cs->orgs, id, SF_ID18);

	if (o)
		return o;
	o = mem_new(sizeof(*o));
	memcpy(o->id, id, SF_ID18);
	list_init(&o->held);
	map_put(&cs->orgs, o->id, SF_ID18, o);
	return o;
}

static void set_text(char **text, const struct pg_rows *rows, int row, int col)
{
	free(*text);
	*text = pg_null(rows, row, col) ? NULL : mem_slice_text(pg_slice(rows, row, col));
}

void connection_fill(
	struct connections *cs, struct connection *c, const struct pg_rows *rows, int row)
{
	char **t;

	set_text(&c->state, rows, row, 1);
	c->writes = pg_bool(rows, row, 2);
	c->ends = pg_bool(rows, row, 3);
	c->epoch = pg_int4(rows, row, 4);
	for (size_t i = 0; (t = texts(c, i)); i++)
		set_text(t, rows, row, 6 + (int)i);
	/* A call under way counted itself in its org; the org of a connection is bound once. */
	if (!c->org && c->org_id && strlen(c->org_id) == SF_ID18)
		c->org = org_get(cs, c->org_id);
	c->loaded = true;
}

bool connection_usable(const struct connection *c)
{
	return c->loaded && c->writes && c->org && c->sf_user_id && c->host;
}
