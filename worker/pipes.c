#include "worker/pipes.h"

#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/secret.h"

#define PIPES_ANSWER_MAX (256 * 1024)

static void put_member(struct buf *b, const char *name, const char *text)
{
	json_put_name(b, name);
	json_put_text(b, (struct slice){text, strlen(text)});
}

static void on_done(void *arg, const struct http_answer *a)
{
	struct pipes_ask *ask = arg;
	freed_by(arena_release) struct arena arena = {0};
	struct sf_answer raw = {
		.status = a->status, .unsent = a->result == HTTP_UNSENT, .body = a->body};
	struct pipes_answer answer;

	sf_answers_pipes(&raw, &arena, &answer);
	ask->fn(ask->arg, &answer); /* @ask is its owner's to release */
	if (answer.token.data)
		secret_zero((char *)answer.token.data, answer.token.len);
}

void pipes_ask_release(struct pipes_ask *ask)
{
	buf_release(&ask->body);
}

struct http_call *pipes_ask(struct http *http, const struct client *client,
	const struct connection *c, bool plain, struct pipes_ask *ask, pipes_fn *fn, void *arg)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	freed_by(buf_release) struct buf url = {0};

	ask->fn = fn;
	ask->arg = arg;
	buf_add_char(&ask->body, '{');
	put_member(&ask->body, "user_id", c->user_id);
	if (c->organization_id)
		put_member(&ask->body, "organization_id", c->organization_id);
	buf_add_char(&ask->body, '}');
	buf_addf(&url, "%s/data-integrations/%s/token", client->base_url, client->slug);
	return http_send(http, &(struct http_request){
				       .method = "POST",
				       .url = url.data,
				       .plain = plain,
				       .bearer = client->key,
				       .headers = headers,
				       .body = buf_slice(&ask->body),
				       .max_answer_bytes = PIPES_ANSWER_MAX,
				       .done = on_done,
				       .arg = ask,
			       });
}
