#include "world.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "leads.h"

int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void world_init(struct world *world, const char *listen_url)
{
	*world = (struct world){.listen_url = listen_url};
	pthread_mutex_init(&world->mutex, NULL);
	if (getrandom(world->random, sizeof(world->random), 0) != sizeof(world->random))
		abort();
	world->random[0] |= 1;
}

void world_lock(struct world *world)
{
	pthread_mutex_lock(&world->mutex);
}

void world_unlock(struct world *world)
{
	pthread_mutex_unlock(&world->mutex);
}

static void required_clear(struct org *org)
{
	for (size_t i = 0; i < org->n_required; i++)
		free(org->required[i]);
	free(org->required);
	org->required = NULL;
	org->n_required = 0;
}

static void org_free(struct org *org)
{
	for (size_t i = 0; i < org->n_leads; i++)
		lead_free(org->leads[i]);
	free(org->leads);
	map_release(&org->by_key);
	map_release(&org->by_id);
	required_clear(org);
	free(org->host);
	free(org->instance_url);
	free(org->external_id_field);
	free(org);
}

static void strings_release(struct map *strings)
{
	for (size_t i = 0; i < strings->size; i++)
		free(strings->slots[i].value);
	map_release(strings);
}

static void forget(struct world *world)
{
	rules_clear(&world->rules);
	journal_clear(&world->journal);
	grant_release_all(world);
	user_release_all(world);
	for (size_t i = 0; i < world->n_orgs; i++)
		org_free(world->org_list[i]);
	free(world->org_list);
	world->org_list = NULL;
	world->n_orgs = 0;
	map_release(&world->orgs);
	map_release(&world->hosts);
	map_release(&world->organizations);
	map_release(&world->slugs);
	strings_release(&world->strings);
}

void world_reset(struct world *world)
{
	forget(world);
	world->generation++;
}

void world_release(struct world *world)
{
	forget(world);
	journal_release(&world->journal);
	pthread_mutex_destroy(&world->mutex);
}

const char *world_intern(struct world *world, const char *text)
{
	char *kept;

	if (!text)
		return NULL;
	kept = map_get(&world->strings, text);
	if (!kept) {
		kept = must(strdup(text));
		map_add(&world->strings, kept, kept);
	}
	return kept;
}

/* xorshift128+: unguessable enough for a simulator, and fast. */
static uint64_t next_random(struct world *world)
{
	uint64_t a = world->random[0];
	uint64_t b = world->random[1];

	world->random[0] = b;
	a ^= a << 23;
	world->random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return world->random[1] + b;
}

void world_random_text(struct world *world, char *ret_text, size_t len)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_A";

	for (size_t i = 0; i < len; i++)
		ret_text[i] = alphabet[(next_random(world) >> 20) & 63];
	ret_text[len] = '\0';
}

struct org *world_org(const struct world *world, const char *id)
{
	char id18[ID_SIZE];

	if (!id || !id_is_valid(id))
		return NULL;
	id_to18(id, id18);
	return map_get(&world->orgs, id18);
}

void org_set_required(struct org *org, const json_t *names)
{
	required_clear(org);
	org->required = must(calloc(json_array_size(names) + 1, sizeof(*org->required)));
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (name)
			org->required[org->n_required++] = must(strdup(name));
	}
}

static void hosts_rebuild(struct world *world)
{
	map_release(&world->hosts);
	for (size_t i = 0; i < world->n_orgs; i++) {
		struct org *org = world->org_list[i];

		if (org->host && !map_get(&world->hosts, org->host))
			map_add(&world->hosts, org->host, org);
	}
}

void world_org_set_host(struct world *world, struct org *org, const char *host)
{
	char *before = org->host;

	org->host = must(strdup(host));
	for (char *c = org->host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (before)
		hosts_rebuild(world);
	else if (!map_get(&world->hosts, org->host))
		map_add(&world->hosts, org->host, org);
	free(before);
}

bool world_knows_host(const struct world *world, const char *host)
{
	return map_get(&world->hosts, host) != NULL;
}

struct org *world_org_make(struct world *world, const char *id18)
{
	struct org *org = map_get(&world->orgs, id18);
	json_t *required;

	if (org)
		return org;
	org = must(calloc(1, sizeof(*org)));
	memcpy(org->id, id18, ID_SIZE);
	org->external_id_field = must(strdup("OnBehalf_Event_Id__c"));
	org->instance_url = must(strdup(world->listen_url));
	org->api_limit = 100000;
	required = json_pack("[ss]", "LastName", "Company");
	org_set_required(org, required);
	json_decref(required);
	world->org_list =
		must(realloc(world->org_list, (world->n_orgs + 1) * sizeof(struct org *)));
	world->org_list[world->n_orgs++] = org;
	map_add(&world->orgs, org->id, org);
	world_org_set_host(world, org, "localhost");
	return org;
}
