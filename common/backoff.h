/*
 * common/backoff.h - how long to wait before trying again.
 */
#pragma once

#include <stdint.h>

/**
 * Full jitter: uniform in [0, min(@cap_ms, @base_ms * 2^(@attempt - 1))], @attempt counting from 1.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
int64_t backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms);
