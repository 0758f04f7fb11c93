#include "worker/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/secret.h"
#include "worker/intake.h"
#include "worker/session.h"
#include "worker/topics.h"

#define TOPICS_TIMEOUT_MS 5000
#define AGAIN_MS 2000

struct worker {
	const struct options *options;
	struct loop *loop;
	struct secret_ring *ring;
	struct http *http;
	struct intake *intake;
	struct session *session;
	struct loop_timer timer; /* a session, or the topics, again */
	int32_t *assigned;       /* what the group gave us */
	size_t assigned_count;
	bool has_assigned;
	bool revoking; /* the group waits for its answer */
	bool stopping;
	int failures; /* sessions that ended, in a row */
	int exit_code;
};

static void begin_session(struct worker *w);

static void stop(struct worker *w, int exit_code)
{
	w->exit_code = exit_code;
	loop_stop(w->loop);
}

/* ---- the session ---- */

static void take(struct worker *w)
{
	if (w->has_assigned && !w->revoking && !w->stopping && w->session &&
		session_is_ready(w->session))
		session_take(w->session, w->assigned, w->assigned_count);
}

static void on_ready(void *arg)
{
	take(arg);
}

static void on_running(void *arg)
{
	struct worker *w = arg;

	w->failures = 0;
	log_info("worker ready", F_INT("partitions", (int64_t)w->assigned_count));
}

static void answer_group(struct worker *w)
{
	intake_stop(w->intake);
	w->revoking = false;
	w->has_assigned = false;
}

static void on_released(void *arg)
{
	struct worker *w = arg;

	if (w->stopping) {
		stop(w, 0);
		return;
	}
	if (w->revoking)
		answer_group(w);
	log_info("partitions given back");
}

static void on_session_over(void *arg, const struct err *err)
{
	struct worker *w = arg;
	int64_t pause = 100 + backoff_ms((unsigned)++w->failures, 500, 15000);

	log_error("the session is over: beginning anew", F_TEXT("error", err->text),
		F_INT("pause_ms", pause));
	session_free(steal(&w->session));
	if (w->stopping) {
		stop(w, 1);
		return;
	}
	if (w->revoking)
		answer_group(w);
	loop_timer_set(&w->timer, pause);
}

static void begin_session(struct worker *w)
{
	static const struct session_handlers handlers = {
		on_ready, on_running, on_released, on_session_over};

	w->session = session_new(w->loop, w->options, w->ring, w->http, w->intake, &handlers, w);
}

/* ---- the group ---- */

static void on_intake_over(void *arg, const struct err *err)
{
	log_error("the Kafka consumer cannot go on", F_TEXT("error", err->text));
	stop(arg, 1);
}

static void on_work(void *arg)
{
	struct worker *w = arg;

	if (w->session)
		session_work(w->session);
}

static void on_assigned(void *arg, const int32_t *partitions, size_t count)
{
	struct worker *w = arg;
	struct err err;

	free(w->assigned);
	w->assigned = mem_new((count + 1) * sizeof(*w->assigned));
	memcpy(w->assigned, partitions, count * sizeof(*w->assigned));
	w->assigned_count = count;
	w->has_assigned = count > 0;
	log_info("the group gave partitions", F_INT("partitions", (int64_t)count));
	/* An empty assignment is answered by an empty one: to unassign would be to join again, at
	 * once and for ever. */
	if (!count && intake_start(w->intake, NULL, 0, &err) < 0)
		on_intake_over(w, &err);
	take(w);
}

static void on_revoked(void *arg, bool lost)
{
	struct worker *w = arg;

	log_info("the group takes the partitions back", F_TEXT("lost", lost ? "yes" : "no"));
	if (!w->session || w->stopping) {
		answer_group(w);
		return;
	}
	w->revoking = true;
	session_release(w->session);
}

static void on_mark(void *arg, struct partition *p, int64_t offset)
{
	struct worker *w = arg;

	session_mark(w->session, p, offset);
}

/* ---- life ---- */

static void open_intake(struct worker *w)
{
	static const struct intake_handlers handlers = {
		on_work, on_assigned, on_revoked, on_mark, on_intake_over};
	struct err err;

	if (topics_ensure(w->options, TOPICS_TIMEOUT_MS, &err) < 0) {
		log_error("the topics are not as they have to be", F_TEXT("error", err.text));
		if (err.kind != ERR_TRANSIENT)
			stop(w, 1);
		else
			loop_timer_set(&w->timer, AGAIN_MS);
		return;
	}
	if (intake_open(w->loop, w->options, w->ring, &handlers, w, &w->intake, &err) < 0) {
		log_error("cannot consume", F_TEXT("error", err.text));
		stop(w, 1);
	}
}

static void on_timer(void *arg)
{
	struct worker *w = arg;

	if (!w->intake)
		open_intake(w);
	if (w->intake && !w->session && !w->stopping)
		begin_session(w);
}

static void on_signal(void *arg, int signo)
{
	struct worker *w = arg;

	if (w->stopping) { /* asked twice: now */
		stop(w, 1);
		return;
	}
	log_info("stopping", F_TEXT("signal", signo == SIGTERM ? "TERM" : "INT"));
	w->stopping = true;
	if (w->session)
		session_release(w->session);
	else
		stop(w, 0);
}

static void log_stopped(const struct worker *w, const struct tick_stats *t)
{
	struct http_stats h = http_stats(w->http);

	log_info("worker stopped", F_INT("accepted", (int64_t)t->accepted),
		F_INT("created", (int64_t)t->created), F_INT("updated", (int64_t)t->updated),
		F_INT("rejected", (int64_t)t->rejected), F_INT("ticks", (int64_t)t->ticks),
		F_INT("calls", (int64_t)t->calls), F_INT("call_leads", (int64_t)t->call_leads),
		F_INT("http_calls", (int64_t)h.calls),
		F_INT("http_connections", (int64_t)h.connections),
		F_INT("cpu_ms", clock_cpu_us() / 1000));
}

static void release(struct worker *w)
{
	struct tick_stats stats = {0};

	if (w->session) {
		stats = session_stats(w->session);
		session_free(w->session);
	}
	intake_close(w->intake);
	log_stopped(w, &stats);
	http_close(w->http);
	secret_ring_free(w->ring);
	free(w->assigned);
	loop_timer_stop(&w->timer);
	loop_free(w->loop);
}

static int open_basics(struct worker *w, struct err *err)
{
	const struct options *o = w->options;

	if (kafka_version_check(err) < 0 || secret_ring_open(o->keys.file, &w->ring, err) < 0)
		return -1;
	return http_open(w->loop,
		&(struct http_options){
			.ca_file = o->http.ca_file,
			.connect_to = o->http.connect_to,
			.connect_timeout_ms = o->http.connect_timeout_ms,
			.timeout_ms = o->http.timeout_ms,
			.max_connections = (long)o->salesforce.in_flight + 128,
		},
		&w->http, err);
}

static enum log_level log_level_of(const char *word)
{
	static const char *const words[] = {[LOG_DEBUG] = "debug",
		[LOG_INFO] = "info",
		[LOG_WARN] = "warn",
		[LOG_ERROR] = "error"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i], word) == 0)
			return (enum log_level)i;
	return LOG_INFO;
}

/* Memory holds tokens and leads: no core file, and in production nobody else may look into it. */
static void leave_no_core(const struct options *o)
{
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (strcmp(o->mode, "production") == 0)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int worker_run(const struct options *o)
{
	struct worker w = {.options = o, .loop = loop_new()};
	struct err err;

	log_setup(strcmp(o->log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT,
		log_level_of(o->log_level));
	signal(SIGPIPE, SIG_IGN);
	leave_no_core(o);
	loop_signal(w.loop, SIGTERM, on_signal, &w);
	loop_signal(w.loop, SIGINT, on_signal, &w);
	if (open_basics(&w, &err) < 0) {
		log_error("cannot start", F_TEXT("error", err.text));
		return 1;
	}
	if (o->salesforce.insecure_hosts && *o->salesforce.insecure_hosts)
		log_warn("plain http is spoken to some hosts: for development only",
			F_TEXT("hosts", o->salesforce.insecure_hosts));
	loop_timer_init(&w.timer, w.loop, on_timer, &w);
	loop_timer_set(&w.timer, 0);
	loop_run(w.loop);
	release(&w);
	return w.exit_code;
}
