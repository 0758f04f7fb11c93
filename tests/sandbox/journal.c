#include "journal.h"

#include <inttypes.h>

#include "leads.h"

static const char *const service_names[N_SERVICES] = {
	[SERVICE_NONE] = "none",
	[SERVICE_SALESFORCE] = "salesforce",
	[SERVICE_PIPES] = "pipes",
	[SERVICE_USERINFO] = "userinfo",
	[SERVICE_TOKEN] = "token",
};

const char *service_name(enum service service)
{
	return service_names[service];
}

int journal_init(struct journal *journal, size_t max, const char *path)
{
	*journal = (struct journal){.max = max};
	if (!path)
		return 0;
	journal->file = fopen(path, "we");
	return journal->file ? 0 : -1;
}

/* An entry's place.  A ring grows by doubling until it has its full size. */
static size_t place(const struct journal *journal, uint64_t number)
{
	return (size_t)((number - 1) % journal->max);
}

static uint64_t first_of(const struct journal *journal, uint64_t newest)
{
	return newest > journal->max ? newest - journal->max + 1 : 1;
}

uint64_t journal_first_write(const struct journal *journal)
{
	return first_of(journal, journal->n_writes);
}

uint64_t journal_first_call(const struct journal *journal)
{
	return first_of(journal, journal->n_calls);
}

static void drop_line(struct call_line *line)
{
	free(line->method);
	free(line->path);
	*line = (struct call_line){0};
}

void journal_clear(struct journal *journal)
{
	for (size_t i = 0; i < journal->size_writes; i++)
		blob_unref(journal->writes[i].fields);
	for (size_t i = 0; i < journal->size_calls; i++)
		drop_line(&journal->calls[i]);
	free(journal->writes);
	free(journal->calls);
	*journal = (struct journal){.max = journal->max, .file = journal->file};
}

void journal_release(struct journal *journal)
{
	journal_clear(journal);
	if (journal->file)
		fclose(journal->file);
	journal->file = NULL;
}

static size_t grown(const struct journal *journal, size_t size)
{
	size_t bigger = size ? size * 2 : 1024;

	return bigger < journal->max ? bigger : journal->max;
}

static struct write *new_write(struct journal *journal)
{
	size_t at = place(journal, ++journal->n_writes);

	if (at >= journal->size_writes) {
		size_t size = grown(journal, journal->size_writes);

		journal->writes = must(realloc(journal->writes, size * sizeof(struct write)));
		memset(journal->writes + journal->size_writes, 0,
			(size - journal->size_writes) * sizeof(struct write));
		journal->size_writes = size;
	}
	blob_unref(journal->writes[at].fields);
	return &journal->writes[at];
}

static void line_to_file(struct journal *journal)
{
	freed_by(buf_release) struct buf line = {0};

	journal_write_json(journal, journal->n_writes, &line);
	buf_adds(&line, "\n");
	(void)fwrite(line.data, 1, line.len_bytes, journal->file);
}

void journal_write(struct journal *journal, const struct write *write)
{
	*new_write(journal) = *write;
	if (write->created)
		journal->created++;
	else
		journal->updated++;
	if (journal->file)
		line_to_file(journal);
}

void journal_flush(struct journal *journal)
{
	if (journal->file)
		(void)fflush(journal->file);
}

uint64_t journal_call(struct journal *journal, const struct call_line *line)
{
	size_t at = place(journal, ++journal->n_calls);

	if (at >= journal->size_calls) {
		size_t size = grown(journal, journal->size_calls);

		journal->calls = must(realloc(journal->calls, size * sizeof(struct call_line)));
		memset(journal->calls + journal->size_calls, 0,
			(size - journal->size_calls) * sizeof(struct call_line));
		journal->size_calls = size;
	}
	drop_line(&journal->calls[at]);
	journal->calls[at] = *line;
	journal->calls[at].method = must(strdup(line->method));
	journal->calls[at].path = must(strndup(line->path, 300));
	journal->by_service[line->service]++;
	return journal->n_calls;
}

void journal_answer(struct journal *journal, uint64_t number, int status)
{
	if (number >= journal_first_call(journal) && number <= journal->n_calls)
		journal->calls[place(journal, number)].status = status;
}

static void add_member(struct buf *ret, const char *name, const char *value)
{
	buf_addf(ret, ",\"%s\":", name);
	buf_add_json_string(ret, value);
}

void journal_write_json(const struct journal *journal, uint64_t number, struct buf *ret)
{
	const struct write *write = &journal->writes[place(journal, number)];
	const char *external_id = blob_external_id(write->fields);

	buf_addf(ret, "{\"n\":%" PRIu64 ",\"at_ms\":%" PRId64, number, write->at_ms);
	add_member(ret, "org_id", write->org->id);
	add_member(ret, "sf_user_id", write->sf_user_id);
	add_member(ret, "user_id", write->user_id);
	add_member(ret, "host", write->host);
	add_member(ret, "method", write->created ? "create" : "update");
	add_member(ret, "lead_id", write->lead_id);
	add_member(ret, "external_id", *external_id ? external_id : NULL);
	buf_addf(ret, ",\"call\":%" PRIu64 ",\"fields\":%s}", write->call,
		blob_fields(write->fields));
}

void journal_call_json(const struct journal *journal, uint64_t number, struct buf *ret)
{
	const struct call_line *line = &journal->calls[place(journal, number)];

	buf_addf(ret, "{\"n\":%" PRIu64 ",\"at_ms\":%" PRId64, number, line->at_ms);
	add_member(ret, "service", service_name(line->service));
	add_member(ret, "method", line->method);
	add_member(ret, "path", line->path);
	if (line->org)
		add_member(ret, "org_id", line->org->id);
	if (line->user_id)
		add_member(ret, "user_id", line->user_id);
	if (line->records >= 0)
		buf_addf(ret, ",\"records\":%d", line->records);
	if (line->status < 0)
		buf_addf(ret, ",\"cut\":\"%s\"}",
			line->status == STATUS_CUT_AFTER ? "after" : "before");
	else if (line->status == 0)
		buf_adds(ret, ",\"status\":null}");
	else
		buf_addf(ret, ",\"status\":%d}", line->status);
}
