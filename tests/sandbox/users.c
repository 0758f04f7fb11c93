#include <stdio.h>

#include "buf.h"
#include "world.h"

/* Users are many: the list grows by doubling, at the powers of two. */
static void *list_grown(void *list, size_t count)
{
	return count & (count - 1) ? list
	                           : must(realloc(list, (count ? count * 2 : 1) * sizeof(void *)));
}

static void user_key(
	struct buf *key, const char *user_id, const char *organization_id, const char *slug)
{
	buf_adds(key, slug);
	buf_adds(key, "\n");
	buf_adds(key, user_id);
	buf_adds(key, "\n");
	buf_adds(key, organization_id ? organization_id : "");
}

struct user *world_user(const struct world *world, const char *user_id, const char *organization_id,
	const char *slug)
{
	freed_by(buf_release) struct buf key = {0};

	user_key(&key, user_id, organization_id, slug);
	return map_get(&world->users, buf_text(&key));
}

struct user *world_user_any(const struct world *world, const char *user_id, const char *slug)
{
	struct user *user = world_user(world, user_id, NULL, slug);
	freed_by(buf_release) struct buf key = {0};

	if (user && user->state != GRANT_NOT_INSTALLED)
		return user;
	user_key(&key, user_id, NULL, slug);
	return map_get(&world->first_users, buf_text(&key));
}

static void user_index(struct world *world, struct user *user)
{
	freed_by(buf_release) struct buf key = {0};

	map_add(&world->users, user->key, user);
	user_key(&key, user->user_id, NULL, user->slug);
	if (!map_get(&world->first_users, buf_text(&key)))
		map_add(&world->first_users, world_intern(world, buf_text(&key)), user);
	if (user->organization_id && !map_get(&world->organizations, user->organization_id))
		map_add(&world->organizations, user->organization_id, user);
	if (!map_get(&world->slugs, user->slug))
		map_add(&world->slugs, user->slug, user);
}

struct user *world_user_make(
	struct world *world, const char *user_id, const char *organization_id, const char *slug)
{
	struct user *user = world_user(world, user_id, organization_id, slug);
	freed_by(buf_release) struct buf key = {0};

	if (user)
		return user;
	user = must(calloc(1, sizeof(*user)));
	user_key(&key, user_id, organization_id, slug);
	user->key = steal(&key.data);
	user->user_id = world_intern(world, user_id);
	user->organization_id = world_intern(world, organization_id);
	user->slug = world_intern(world, slug);
	user->token_ttl_s = 7200;
	user->scopes = json_pack("[sss]", "api", "refresh_token", "id");
	user->missing_scopes = json_array();
	world->user_list = list_grown(world->user_list, world->n_users);
	world->user_list[world->n_users++] = user;
	user_index(world, user);
	return user;
}

void user_release_all(struct world *world)
{
	for (size_t i = 0; i < world->n_users; i++) {
		struct user *user = world->user_list[i];

		user_kill_tokens(world, user, NULL);
		json_decref(user->scopes);
		json_decref(user->missing_scopes);
		free(user->key);
		free(user->vended);
		free(user);
	}
	free(world->user_list);
	world->user_list = NULL;
	world->n_users = 0;
	map_release(&world->users);
	map_release(&world->first_users);
	map_release(&world->tokens);
}

static char *opaque_text(struct world *world, const struct org *org)
{
	char random[97];
	freed_by(buf_release) struct buf text = {0};

	world_random_text(world, random, 96);
	random[20] = '.';
	buf_addf(&text, "%.15s!%s", org->id, random);
	return steal(&text.data);
}

static void add_base64url(struct buf *text, const char *bytes)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(bytes);

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)(unsigned char)bytes[i] << 16;
		size_t left = len - i;

		if (left > 1)
			bits |= (uint32_t)(unsigned char)bytes[i + 1] << 8;
		if (left > 2)
			bits |= (unsigned char)bytes[i + 2];
		for (size_t j = 0; j < (left > 2 ? 4 : left + 1); j++)
			buf_add(text, &alphabet[(bits >> (18 - 6 * j)) & 63], 1);
	}
}

/* Header claims as Salesforce writes them; the tenant key names the issuing org. */
static char *jwt_text(struct world *world, const struct token *token)
{
	const struct org *org = token->org;
	freed_by(buf_release) struct buf claims = {0};
	freed_by(buf_release) struct buf text = {0};
	char random[129];

	buf_addf(&claims,
		"{\"tnk\":\"core/prod/%s\",\"ver\":\"1.0\",\"kid\":\"CORE_AT.%s\","
		"\"tty\":\"sfdc-core-token\",\"typ\":\"JWT\",\"alg\":\"RS256\"}",
		org->id, org->sandbox ? "s1" : "p1");
	add_base64url(&text, buf_text(&claims));
	buf_adds(&text, ".");
	buf_clear(&claims);
	buf_addf(&claims,
		"{\"scp\":\"api\",\"aud\":[\"%s\"],\"sub\":\"uid:%s\",\"mty\":\"oauth\","
		"\"iss\":\"%s\",\"exp\":%lld}",
		org->instance_url, token->sf_user_id, org->instance_url,
		(long long)(token->expires_ms / 1000));
	add_base64url(&text, buf_text(&claims));
	world_random_text(world, random, 128);
	buf_addf(&text, ".%s", random);
	return steal(&text.data);
}

struct token *token_mint(struct world *world, struct user *user, struct grant *grant)
{
	struct token *token = must(calloc(1, sizeof(*token)));

	token->expires_ms = now_ms() + user->token_ttl_s * 1000;
	token->org = grant ? grant->org : user->org;
	token->user = user;
	token->grant = grant;
	memcpy(token->sf_user_id, grant ? grant->sf_user_id : user->sf_user_id, ID_SIZE);
	token->text = token->org->jwt ? jwt_text(world, token) : opaque_text(world, token->org);
	token->next = user->tokens;
	user->tokens = token;
	map_add(&world->tokens, token->text, token);
	return token;
}

void token_kill(struct world *world, struct token *token)
{
	struct token **at = &token->user->tokens;

	while (*at != token)
		at = &(*at)->next;
	*at = token->next;
	(void)map_remove(&world->tokens, token->text);
	free(token->text);
	free(token);
}

struct token *token_find(struct world *world, const char *text)
{
	struct token *token = map_get(&world->tokens, text);

	if (!token || token->expires_ms > now_ms())
		return token;
	token_kill(world, token);
	return NULL;
}

void user_kill_tokens(struct world *world, struct user *user, const struct grant *grant)
{
	struct token *next;

	for (struct token *token = user->tokens; token; token = next) {
		next = token->next;
		if (!grant || token->grant == grant)
			token_kill(world, token);
	}
}

const char *user_vend(struct world *world, struct user *user)
{
	struct token *token;

	if (user->vended && (user->keep_vending || token_find(world, user->vended)))
		return user->vended;
	token = token_mint(world, user, NULL);
	free(user->vended);
	user->vended = must(strdup(token->text));
	user->vended_expires_ms = token->expires_ms;
	return user->vended;
}
