#include "ids.h"

#include <ctype.h>

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char check_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

void id_to18(const char *id15, char ret_id[ID_SIZE])
{
	memcpy(ret_id, id15, ID15);
	for (size_t block = 0; block < 3; block++) {
		unsigned int bits = 0;

		for (unsigned int i = 0; i < 5; i++)
			if (isupper((unsigned char)id15[block * 5 + i]))
				bits |= 1u << i;
		ret_id[ID15 + block] = check_digits[bits];
	}
	ret_id[ID18] = '\0';
}

bool id_is_valid(const char *id)
{
	size_t len = strlen(id);
	char right[ID_SIZE];

	if (len != ID15 && len != ID18)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]))
			return false;
	if (len == ID15)
		return true;
	id_to18(id, right);
	return memcmp(id, right, ID18) == 0;
}

void id_make(const char *prefix, uint64_t number, char ret_id[ID_SIZE])
{
	char id15[ID15 + 1] = "xxxHs0000000000";

	assert(strlen(prefix) == 3);
	memcpy(id15, prefix, 3);
	for (size_t i = ID15 - 1; number && i > 4; i--) {
		id15[i] = digits[number % 62];
		number /= 62;
	}
	id_to18(id15, ret_id);
}

bool id_same(const char *a, const char *b)
{
	return strlen(a) >= ID15 && strlen(b) >= ID15 && memcmp(a, b, ID15) == 0;
}
