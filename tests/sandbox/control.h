/*
 * tests/sandbox/control.h - the control API, in three files by what it is about.
 *
 * Every function answers the call; all but control_logs_serve() have the mutex.
 */
#pragma once

#include "call.h"

/** 400 {"error"}. */
void control_error(struct call *call, const char *message);
/** The org that "org_id" names; NULL after answering that there is none. */
struct org *control_org(struct world *world, struct call *call, const json_t *body);

/* control_world.c */
void control_orgs(struct world *world, struct call *call);
void control_users(struct world *world, struct call *call);
void control_expire(struct world *world, struct call *call);
void control_grants(struct world *world, struct call *call);

/* control_logs.c */
/** journal and calls; takes the mutex itself, in pieces. */
void control_logs_serve(struct world *world, struct call *call, bool calls);
void control_stats(struct world *world, struct call *call);
void control_leads(struct world *world, struct call *call);
void control_lead_edit(struct world *world, struct call *call);
void control_lead_delete(struct world *world, struct call *call);
