#include <stdio.h>

#include "buf.h"
#include "world.h"

static void refresh_add(struct world *world, struct grant *grant)
{
	struct refresh *refresh = must(calloc(1, sizeof(*refresh)));
	freed_by(buf_release) struct buf text = {0};
	char random[81];

	world_random_text(world, random, 80);
	buf_addf(&text, "5Aep861%s", random);
	refresh->text = steal(&text.data);
	refresh->grant = grant;
	map_add(&world->refreshes, refresh->text, refresh);
	grant->current = refresh->text;
}

struct grant *grant_make(struct world *world, struct user *user)
{
	struct grant *grant = must(calloc(1, sizeof(*grant)));

	grant->org = user->org;
	grant->user = user;
	memcpy(grant->sf_user_id, user->sf_user_id, ID_SIZE);
	grant->rotate = true;
	world->grants = must(realloc(world->grants, (world->n_grants + 1) * sizeof(grant)));
	world->grants[world->n_grants++] = grant;
	refresh_add(world, grant);
	return grant;
}

struct grant *grant_find(const struct world *world, const char *refresh_token)
{
	const struct refresh *refresh = map_get(&world->refreshes, refresh_token);

	return refresh ? refresh->grant : NULL;
}

/* Old refresh tokens are remembered for ever: reuse has to be noticed. */
void grant_rotate(struct world *world, struct grant *grant)
{
	refresh_add(world, grant);
}

void grant_revoke(struct world *world, struct grant *grant)
{
	grant->revoked = true;
	user_kill_tokens(world, grant->user, grant);
}

void grant_release_all(struct world *world)
{
	for (size_t i = 0; i < world->refreshes.size; i++) {
		struct refresh *refresh = world->refreshes.slots[i].value;

		if (refresh)
			free(refresh->text);
		free(refresh);
	}
	map_release(&world->refreshes);
	for (size_t i = 0; i < world->n_grants; i++) {
		free(world->grants[i]->client_id);
		free(world->grants[i]->client_secret);
		free(world->grants[i]);
	}
	free(world->grants);
	world->grants = NULL;
	world->n_grants = 0;
}
