#include "worker/cmd_lead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "worker/lead_event.h"

/* One byte more than a record may have tells that it has too many. */
#define READ_MAX ((size_t)LEAD_RECORD_MAX + 1)

static void close_filep(FILE **file)
{
	if (*file && *file != stdin)
		(void)fclose(*file);
}

/* At most READ_MAX bytes. */
static bool read_file(const char *path, struct buf *out)
{
	freed_by(close_filep) FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char part[16 * 1024];
	size_t len = 1;

	while (file && len && out->len < READ_MAX) {
		size_t wanted = READ_MAX - out->len;

		len = fread(part, 1, wanted < sizeof(part) ? wanted : sizeof(part), file);
		buf_add(out, part, len);
	}
	if (file && !ferror(file))
		return true;
	fprintf(stderr, "onbehalf: could not read %s: %s\n", path, strerror(errno));
	return false;
}

static void print_line(const char *what, struct slice value)
{
	if (value.data)
		printf("  %-13s %.*s\n", what, (int)value.len, value.data);
}

static void print_text(const char *what, const char *value)
{
	print_line(what, (struct slice){value, strlen(value)});
}

static void print_identity(const struct lead_event *event)
{
	char key[LEAD_KEY_TEXT];

	lead_key_text(event->key, key);
	print_line("source", event->source);
	print_line("id", event->id);
	print_line("user", event->user_id);
	print_line("organization", event->organization_id);
	print_text("External ID", key);
}

static void print_fault(const struct lead_event *event, const char *answer)
{
	print_text("at", event->path);
	print_text("means", reason_meaning(event->reason));
	print_text("repaired by", reason_repairer(event->reason));
	print_text("repair", reason_repair(event->reason));
	print_text("answer", answer);
}

/* The first line is for programs, too. */
static void print_answer(const struct lead_event *event)
{
	switch (event->verdict) {
	case LEAD_OK:
		printf("ok\n");
		print_identity(event);
		print_text("answer", "what Salesforce says, if the source is known and the user "
				     "is connected");
		break;
	case LEAD_REJECTED:
		printf("rejected %s%s%.*s\n", reason_code(event->reason),
			event->field.data ? " " : "", (int)event->field.len,
			event->field.data ? event->field.data : "");
		print_identity(event);
		print_fault(event, "lead.result, status rejected; nothing is written");
		break;
	case LEAD_INVALID:
		printf("invalid %s %s\n", reason_code(event->reason), event->path);
		print_fault(event, "lead.invalid, with the bytes as they came");
		break;
	}
}

bool cmd_lead_validate(const char *path)
{
	static const struct lead_header structured = {
		SLICE("content-type"), SLICE("application/cloudevents+json")};
	freed_by(buf_release) struct buf value = {0};
	struct lead_record record = {.headers = &structured, .header_count = 1};
	struct arena arena = {0};
	struct lead_event event;

	if (!read_file(path, &value))
		return false;
	record.value = buf_slice(&value);
	lead_event_read(&record, NULL, &arena, &event);
	print_answer(&event);
	arena_release(&arena);
	return event.verdict == LEAD_OK;
}
