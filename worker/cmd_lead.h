/*
 * worker/cmd_lead.h - what an operator, or a team that publishes leads, asks about one lead.
 *
 * Blocks; answers on standard output, says on standard error why it cannot.
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"

/**
 * Reads the event in @path ("-": standard input; JSON, structured mode) as the worker would, and
 * says what the worker would answer.  Connects to nothing, so what only the ledger or Salesforce
 * can tell stays open.  True when the lead would go on its way.
 */
must_check bool cmd_lead_validate(const char *path);
