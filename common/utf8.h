/*
 * common/utf8.h - tells UTF-8 from other bytes.
 *
 * Header only.  https://www.rfc-editor.org/rfc/rfc3629#section-4
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Bytes of the character at @text (@len > 0); 0 when there is none: overlong, a surrogate, cut
 * short. */
static inline size_t utf8_char(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t want = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (!want || at[0] > 0xf4 || want > len)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
		(at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return want;
}

static inline bool utf8_valid(const char *text, size_t len)
{
	while (len) {
		size_t size = utf8_char(text, len);

		if (!size)
			return false;
		text += size;
		len -= size;
	}
	return true;
}
