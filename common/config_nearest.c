#include "common/config_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define FARTHEST 2
#define LONGEST 128 /* longer names get no suggestion */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions and replacements (Levenshtein); FARTHEST + 1 for names too long. */
static size_t distance_of(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b), row[LONGEST + 1];

	if (a_len > LONGEST || b_len > LONGEST)
		return FARTHEST + 1;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

void config_nearest_offer(struct config_nearest *n, const char *name)
{
	size_t distance = distance_of(n->wanted, name);
	const char *tail = last_part(name);

	if (distance > FARTHEST && strcmp(tail, last_part(n->wanted)) == 0)
		distance = FARTHEST; /* the same key in another section */
	else if (distance >= strlen(tail))
		return; /* of a short name nothing would be left */
	if (distance > FARTHEST || (n->name && distance >= n->distance))
		return;
	free(n->name);
	n->name = mem_text(name);
	n->distance = distance;
}

void config_nearest_release(struct config_nearest *n)
{
	free(n->name);
	n->name = NULL;
}
