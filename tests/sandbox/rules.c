#include "rules.h"

static void rule_release(struct rule *rule)
{
	json_decref(rule->match);
	json_decref(rule->action);
}

void rules_clear(struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		rule_release(&rules->list[i]);
	free(rules->list);
	*rules = (struct rules){.last_id = rules->last_id};
}

static bool known_members(const json_t *object, const char *const *names)
{
	json_t *all = (json_t *)object;

	for (void *it = json_object_iter(all); it; it = json_object_iter_next(all, it)) {
		const char *name = json_object_iter_key(it);
		size_t i = 0;

		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (!names[i])
			return false;
	}
	return true;
}

static const char *action_fault(const json_t *action)
{
	static const char *const members[] = {"status", "body", "headers", "apply", "delay_ms",
		"cut", "record_error", "pipes", NULL};
	const json_t *cut = json_object_get(action, "cut");
	const char *when = json_string_value(cut);
	json_int_t status = json_integer_value(json_object_get(action, "status"));

	if (!json_is_object(action) || !json_object_size(action) || !known_members(action, members))
		return "action: an object of status, body, headers, apply, delay_ms, cut, "
		       "record_error, pipes";
	if (cut && (!when || (strcmp(when, "before") != 0 && strcmp(when, "after") != 0)))
		return "cut: before or after";
	if (json_object_get(action, "status") && (status < 200 || status > 599))
		return "status: 200 to 599";
	return NULL;
}

static const char *match_fault(const json_t *match)
{
	static const char *const members[] = {
		"service", "org_id", "user_id", "host", "method", "path_contains", "lead", NULL};
	const json_t *lead = json_object_get(match, "lead");
	const char *service = json_string_value(json_object_get(match, "service"));
	bool known = !service;

	if (match && (!json_is_object(match) || !known_members(match, members)))
		return "match: an object of service, org_id, user_id, host, method, path_contains, "
		       "lead";
	for (enum service i = SERVICE_SALESFORCE; service && i <= SERVICE_TOKEN; i++)
		known = known || strcmp(service, service_name(i)) == 0;
	if (!known)
		return "service: salesforce, pipes, userinfo or token";
	if (lead && (!json_object_get(lead, "field") || !json_object_get(lead, "equals")))
		return "lead: field and equals";
	return NULL;
}

uint64_t rules_add(struct rules *rules, const json_t *text, const char **ret_fault)
{
	json_t *match = json_object_get(text, "match");
	json_t *action = json_object_get(text, "action");
	json_t *times = json_object_get(text, "times");
	const char *fault = match_fault(match);

	fault = fault ? fault : action_fault(action);
	if (!fault && times && !json_is_integer(times))
		fault = "times: a number";
	if (fault) {
		*ret_fault = fault;
		return 0;
	}
	rules->list = must(realloc(rules->list, (rules->count + 1) * sizeof(struct rule)));
	rules->list[rules->count++] = (struct rule){
		.id = ++rules->last_id,
		.times = times ? json_integer_value(times) : 1,
		.match = match ? json_incref(match) : json_object(),
		.action = json_incref(action),
	};
	return rules->last_id;
}

static bool record_matches(const json_t *lead, const struct call_facts *facts, const json_t *record)
{
	const char *field = json_string_value(json_object_get(lead, "field"));
	const json_t *wanted = json_object_get(lead, "equals");
	const json_t *value = field ? json_object_get(record, field) : NULL;

	if (value)
		return json_equal(value, wanted);
	return field && facts->external_field && facts->external_id && json_is_string(wanted) &&
	       strcmp(field, facts->external_field) == 0 &&
	       strcmp(json_string_value(wanted), facts->external_id) == 0;
}

static bool some_record_matches(const json_t *lead, const struct call_facts *facts)
{
	for (size_t i = 0; i < json_array_size(facts->records); i++)
		if (record_matches(lead, facts, json_array_get(facts->records, i)))
			return true;
	return false;
}

static bool text_matches(const json_t *match, const char *name, const char *value)
{
	const char *wanted = json_string_value(json_object_get(match, name));

	return !wanted || (value && strcmp(wanted, value) == 0);
}

static bool rule_matches(const struct rule *rule, const struct call_facts *facts)
{
	const json_t *match = rule->match;
	const char *org_id = json_string_value(json_object_get(match, "org_id"));
	const char *part = json_string_value(json_object_get(match, "path_contains"));
	const json_t *lead = json_object_get(match, "lead");

	if (rule->times == 0 || !text_matches(match, "service", service_name(facts->service)) ||
		!text_matches(match, "user_id", facts->user_id) ||
		!text_matches(match, "host", facts->host) ||
		!text_matches(match, "method", facts->method))
		return false;
	if (org_id && (!facts->org_id || !id_same(org_id, facts->org_id)))
		return false;
	if (part && !strstr(facts->path, part))
		return false;
	return !lead || some_record_matches(lead, facts);
}

/* {"pipes": {..., "status": n}}: the rest is the body. */
static void use_pipes(const json_t *pipes, struct verdict *ret)
{
	const json_t *status = json_object_get(pipes, "status");

	ret->body = json_copy((json_t *)pipes);
	(void)json_object_del(ret->body, "status");
	ret->status = status ? (int)json_integer_value(status) : 200;
}

static void use(const struct rule *rule, struct verdict *ret)
{
	const json_t *action = rule->action;
	json_t *error = json_object_get(action, "record_error");
	const char *cut = json_string_value(json_object_get(action, "cut"));

	ret->delay_ms += json_integer_value(json_object_get(action, "delay_ms"));
	ret->apply = json_is_true(json_object_get(action, "apply"));
	if (cut)
		ret->cut = strcmp(cut, "before") == 0 ? CUT_BEFORE : CUT_AFTER;
	if (json_object_get(action, "status")) {
		ret->status = (int)json_integer_value(json_object_get(action, "status"));
		ret->body = json_incref(json_object_get(action, "body"));
		ret->headers = json_incref(json_object_get(action, "headers"));
	} else if (json_object_get(action, "pipes")) {
		use_pipes(json_object_get(action, "pipes"), ret);
	}
	if (error && ret->n_record_errors < MAX_RECORD_ERRORS)
		ret->record_errors[ret->n_record_errors++] = (struct record_error){
			.lead = json_incref(json_object_get(rule->match, "lead")),
			.error = json_incref(error),
		};
}

void rules_judge(struct rules *rules, const struct call_facts *facts, struct verdict *ret)
{
	for (size_t i = 0; i < rules->count && !ret->status && !ret->cut; i++) {
		struct rule *rule = &rules->list[i];

		if (!rule_matches(rule, facts))
			continue;
		use(rule, ret);
		if (rule->times > 0)
			rule->times--;
	}
}

json_t *rules_json(const struct rules *rules)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rules->count; i++)
		(void)json_array_append_new(
			list, json_pack("{s:I,s:I,s:O,s:O}", "id", (json_int_t)rules->list[i].id,
				      "times_left", (json_int_t)rules->list[i].times, "match",
				      rules->list[i].match, "action", rules->list[i].action));
	return list;
}

void verdict_release(struct verdict *verdict)
{
	json_decref(verdict->body);
	json_decref(verdict->headers);
	for (size_t i = 0; i < verdict->n_record_errors; i++) {
		json_decref(verdict->record_errors[i].lead);
		json_decref(verdict->record_errors[i].error);
	}
	*verdict = (struct verdict){0};
}

const json_t *verdict_record_error(
	const struct verdict *verdict, const struct call_facts *facts, const json_t *record)
{
	for (size_t i = 0; i < verdict->n_record_errors; i++) {
		const struct record_error *planned = &verdict->record_errors[i];

		if (!planned->lead || record_matches(planned->lead, facts, record))
			return planned->error;
	}
	return NULL;
}
