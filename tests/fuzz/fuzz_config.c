/*
 * A configuration: leading lines "#!NAME=VALUE" are the environment, the rest is the file.  What
 * is printed of it reads back as the same.
 */
#include "tests/fuzz/fuzz.h"

#include "common/config.h"

#define VARIABLES_MAX 8
#define MARK "#!"

struct values {
	char *mode, *url, *ca_file, *word_free;
	bool create;
	int64_t leads, bytes, timeout_ms, number;
};

struct client {
	char *kind, *note;
	int64_t rate;
};

#define AT(member) offsetof(struct values, member)
#define IN(member) offsetof(struct client, member)

/* The secret is masked, so it is the one key that does not go round. */
static const struct config_key keys[] = {
	{"mode", CONFIG_WORD, AT(mode), "development", .words = "development|production",
		.doc = "What it is"},
	{"postgres.url", CONFIG_TEXT, AT(url), .doc = "Where", .secret = true},
	{"http.ca_file", CONFIG_FILE, AT(ca_file), "", .doc = "Authorities"},
	{"http.word", CONFIG_TEXT, AT(word_free), "a", .doc = "Any text"},
	{"topics.create", CONFIG_BOOL, AT(create), "true", .doc = "Whether to"},
	{"batch.leads", CONFIG_INT, AT(leads), "200", 1, 200, .doc = "Leads a call"},
	{"batch.bytes", CONFIG_SIZE, AT(bytes), "1MB", 1024, 1 << 30, .doc = "Bytes a call"},
	{"batch.timeout", CONFIG_DURATION, AT(timeout_ms), "10s", 0, 0, .doc = "How long"},
	{"batch.number", CONFIG_INT, AT(number), NULL, -1000, 1000, .doc = "A number"},
	{"client.*.kind", CONFIG_WORD, IN(kind), NULL, .words = "pipes|salesforce", .doc = "Which",
		.required = true},
	{"client.*.note", CONFIG_TEXT, IN(note), "", .doc = "Any text"},
	{"client.*.rate", CONFIG_INT, IN(rate), "6000", 1, 0, .doc = "Calls"},
};

struct loaded {
	struct config c;
	struct values values;
	bool ok;
};

static void load(struct loaded *l, struct slice file, char **environment)
{
	*l = (struct loaded){.c = {.keys = keys,
				     .key_count = ARRAY_LEN(keys),
				     .pass_section = "kafka",
				     .named_section = "client",
				     .named_size = sizeof(struct client)}};
	l->ok = config_load(&l->c, fuzz_file(file), environment, &l->values);
}

static void check_loaded(const struct loaded *l, bool from_file_alone)
{
	const struct values *v = &l->values;

	assert(l->ok == (l->c.fault_count == 0));
	for (size_t i = 0; i < l->c.fault_count; i++) {
		struct slice fault = {l->c.faults[i], strlen(l->c.faults[i])};

		for (size_t j = 0; j < fault.len; j++)
			if (fault.data[j] == '\t') /* may stand in a value */
				l->c.faults[i][j] = ' ';
		assert(fault.len && (!from_file_alone || fuzz_is_line(fault)));
	}
	assert(!strcmp(v->mode, "development") || !strcmp(v->mode, "production"));
	assert(v->leads >= 1 && v->leads <= 200);
	assert(v->bytes >= 1024 && v->bytes <= 1 << 30);
	assert(v->timeout_ms >= 0 && v->number >= -1000 && v->number <= 1000);
	assert(!*v->ca_file || *v->ca_file == '/');
	for (size_t i = 0; i < l->c.section_count; i++) {
		const struct client *client = l->c.sections[i].values;

		assert(*l->c.sections[i].name && client->rate >= 1);
		assert(!l->ok || !strcmp(client->kind, "pipes") ||
			!strcmp(client->kind, "salesforce"));
		for (size_t j = 0; j < i; j++)
			assert(strcmp(l->c.sections[i].name, l->c.sections[j].name) != 0);
	}
	for (size_t i = 0; i < l->c.pair_count; i++)
		for (size_t j = 0; j < i; j++)
			assert(strcmp(l->c.pairs[i].name, l->c.pairs[j].name) != 0);
}

static void check_masked(struct slice printed)
{
	while (printed.len) {
		struct slice line = fuzz_line(&printed);

		if (line.len > 5 && !memcmp(line.data, "url =", 5) &&
			!memchr(line.data, '.', line.len)) /* kafka may pass an url of its own */
			assert(line.len == 5 || fuzz_count(line, "= ********") == 1 ||
				fuzz_count(printed, "[kafka]") == 0);
	}
}

static void check_same_client(const struct config_section *a, const struct config_section *b)
{
	const struct client *left = a->values, *right = b->values;

	assert(!strcmp(a->name, b->name) && !strcmp(left->kind, right->kind));
	assert(!strcmp(left->note, right->note) && left->rate == right->rate);
}

static void check_same(const struct loaded *a, const struct loaded *b)
{
	const struct values *v = &a->values, *w = &b->values;

	assert(b->ok);
	assert(!strcmp(v->mode, w->mode) && !strcmp(v->word_free, w->word_free));
	assert(!strcmp(v->ca_file, w->ca_file) && v->create == w->create);
	assert(v->leads == w->leads && v->bytes == w->bytes);
	assert(v->timeout_ms == w->timeout_ms && v->number == w->number);
	assert(!v->url == !w->url && (!v->url || !*v->url == !*w->url));
	assert(a->c.section_count == b->c.section_count && a->c.pair_count == b->c.pair_count);
	for (size_t i = 0; i < a->c.section_count; i++)
		check_same_client(&a->c.sections[i], &b->c.sections[i]);
	for (size_t i = 0; i < a->c.pair_count; i++) {
		assert(!strcmp(a->c.pairs[i].name, b->c.pairs[i].name));
		assert(a->c.pairs[i].secret || !strcmp(a->c.pairs[i].value, b->c.pairs[i].value));
	}
}

static void check_printed(const struct loaded *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct loaded again;

	assert(out);
	config_print(&l->c, &l->values, out);
	fclose(out);
	check_masked((struct slice){text, len});
	if (l->ok) {
		load(&again, (struct slice){text, len}, NULL);
		check_loaded(&again, true);
		check_same(l, &again);
		config_release(&again.c, &again.values);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size};
	char *environment[VARIABLES_MAX + 1] = {NULL};
	size_t count = 0;
	struct loaded l;

	while (count < VARIABLES_MAX && rest.len > 2 && !memcmp(rest.data, MARK, 2)) {
		struct slice line = fuzz_line(&rest);

		environment[count++] = fuzz_text((struct slice){line.data + 2, line.len - 2});
	}
	load(&l, rest, environment);
	check_loaded(&l, count == 0);
	check_printed(&l);
	config_release(&l.c, &l.values);
	while (count > 0)
		free(environment[--count]);
	return 0;
}
