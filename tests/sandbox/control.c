#include "control.h"

struct command {
	const char *method;
	const char *path; /* after /control/ */
	void (*serve)(struct world *world, struct call *call);
};

void control_error(struct call *call, const char *message)
{
	call_answer_json(call, 400, json_pack("{s:s}", "error", message));
}

struct org *control_org(struct world *world, struct call *call, const json_t *body)
{
	struct org *org = world_org(world, json_string_value(json_object_get(body, "org_id")));

	if (!org)
		control_error(call, "org_id: no such org");
	return org;
}

static void rules_make(struct world *world, struct call *call)
{
	const char *fault = NULL;
	uint64_t id = rules_add(&world->rules, call->json, &fault);

	if (id)
		call_answer_json(call, 200, json_pack("{s:I}", "id", (json_int_t)id));
	else
		control_error(call, fault);
}

static void rules_drop(struct world *world, struct call *call)
{
	rules_clear(&world->rules);
	call_answer_json(call, 200, json_object());
}

static void rules_list(struct world *world, struct call *call)
{
	call_answer_json(call, 200, json_pack("{s:o}", "rules", rules_json(&world->rules)));
}

static void reset(struct world *world, struct call *call)
{
	world_reset(world);
	call_answer_json(call, 200, json_object());
}

static const struct command commands[] = {
	{"POST", "orgs", control_orgs},
	{"POST", "users", control_users},
	{"POST", "expire", control_expire},
	{"POST", "grants", control_grants},
	{"POST", "rules", rules_make},
	{"DELETE", "rules", rules_drop},
	{"GET", "rules", rules_list},
	{"GET", "stats", control_stats},
	{"GET", "leads", control_leads},
	{"POST", "leads/edit", control_lead_edit},
	{"POST", "leads/delete", control_lead_delete},
	{"POST", "reset", reset},
};

static const struct command *command_of(const struct call *call, const char *path)
{
	for (size_t i = 0; i < LENGTH_OF(commands); i++)
		if (strcmp(commands[i].path, path) == 0 &&
			strcmp(commands[i].method, call->method) == 0)
			return &commands[i];
	return NULL;
}

void control_serve(struct world *world, struct call *call)
{
	const char *path = strncmp(call->path, "/control/", 9) == 0 ? call->path + 9 : "";
	const struct command *command = command_of(call, path);
	bool get = strcmp(call->method, "GET") == 0;

	if (get && (strcmp(path, "journal") == 0 || strcmp(path, "calls") == 0)) {
		control_logs_serve(world, call, path[0] == 'c');
		return;
	}
	if (!command) {
		call_answer_json(call, 404, json_pack("{s:s}", "error", "no such command"));
		return;
	}
	if (call->body.len_bytes && !json_is_object(call->json)) {
		control_error(call, "the body is not a JSON object");
		return;
	}
	world_lock(world);
	command->serve(world, call);
	world_unlock(world);
}
