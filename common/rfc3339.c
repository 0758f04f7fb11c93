#include "common/rfc3339.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
#define FIRST_MS (INT64_C(-62135596800000)) /* 0001-01-01T00:00:00.000Z */
#define LAST_MS INT64_C(253402300799999)    /* 9999-12-31T23:59:59.999Z */

/* Days since 1970-01-01, for years from 1 on.  https://howardhinnant.github.io/date_algorithms.html
 */
static int64_t days_of(int year, int month, int day)
{
	int shifted = month <= 2 ? year - 1 : year; /* the year begins in March */
	int era = shifted / 400, year_of_era = shifted % 400;
	int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (int64_t)era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t shifted = days + 719468;
	int era = (int)(shifted / 146097), day_of_era = (int)(shifted % 146097);
	int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month_from_march = (5 * day_of_year + 2) / 153;

	*ret_day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	*ret_month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static void put_digits(char *at, int value, int width)
{
	while (width-- > 0) {
		at[width] = (char)('0' + value % 10);
		value /= 10;
	}
}

void rfc3339_text(int64_t wall_ms, char ret_text[RFC3339_SIZE])
{
	int year, month, day, ms_of_day;
	int64_t days;

	if (wall_ms < FIRST_MS)
		wall_ms = FIRST_MS;
	if (wall_ms > LAST_MS)
		wall_ms = LAST_MS;
	days = wall_ms / DAY_MS - (wall_ms % DAY_MS < 0);
	ms_of_day = (int)(wall_ms - days * DAY_MS);
	date_of(days, &year, &month, &day);
	memcpy(ret_text, "0000-00-00T00:00:00.000Z", RFC3339_SIZE);
	put_digits(ret_text, year, 4);
	put_digits(ret_text + 5, month, 2);
	put_digits(ret_text + 8, day, 2);
	put_digits(ret_text + 11, ms_of_day / 3600000, 2);
	put_digits(ret_text + 14, ms_of_day / 60000 % 60, 2);
	put_digits(ret_text + 17, ms_of_day / 1000 % 60, 2);
	put_digits(ret_text + 20, ms_of_day % 1000, 3);
}

struct cursor {
	const char *at, *end;
};

static bool is_digit(const struct cursor *c)
{
	return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* Exactly @width digits with a value in [min, max]. */
static bool take_digits(struct cursor *c, int width, int min, int max, int *ret)
{
	int value = 0;

	for (; width > 0; width--) {
		if (!is_digit(c))
			return false;
		value = 10 * value + (*c->at++ - '0');
	}
	*ret = value;
	return value >= min && value <= max;
}

static bool take_one_of(struct cursor *c, const char *set)
{
	if (c->at == c->end || !*c->at || !strchr(set, *c->at))
		return false;
	c->at++;
	return true;
}

static bool take_date(struct cursor *c, int64_t *ret_days)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;
	bool leap;

	if (!take_digits(c, 4, 1, 9999, &year) || !take_one_of(c, "-") ||
		!take_digits(c, 2, 1, 12, &month) || !take_one_of(c, "-") ||
		!take_digits(c, 2, 1, 31, &day))
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day > lengths[month - 1] + (month == 2 && leap))
		return false;
	*ret_days = days_of(year, month, day);
	return true;
}

/* A fraction without digits is malformed; digits behind the milliseconds are dropped. */
static bool take_fraction(struct cursor *c, int *ret_ms)
{
	int ms = 0, scale = 100;

	*ret_ms = 0;
	if (!take_one_of(c, "."))
		return true;
	if (!is_digit(c))
		return false;
	for (; is_digit(c); c->at++, scale /= 10)
		ms += (*c->at - '0') * scale;
	*ret_ms = ms;
	return true;
}

static bool take_offset(struct cursor *c, int *ret_minutes)
{
	int sign, hours, minutes;

	*ret_minutes = 0;
	if (take_one_of(c, "Zz"))
		return true;
	if (!take_one_of(c, "+-"))
		return false;
	sign = c->at[-1] == '-' ? -1 : 1;
	if (!take_digits(c, 2, 0, 23, &hours) || !take_one_of(c, ":") ||
		!take_digits(c, 2, 0, 59, &minutes))
		return false;
	*ret_minutes = sign * (60 * hours + minutes);
	return true;
}

bool rfc3339_parse(const char *text, size_t len, int64_t *ret_wall_ms)
{
	struct cursor c = {text, text + len};
	int hour, minute, second, ms, offset_minutes;
	int64_t days, utc_minutes, wall_ms;

	if (!take_date(&c, &days) || !take_one_of(&c, "Tt") || !take_digits(&c, 2, 0, 23, &hour) ||
		!take_one_of(&c, ":") || !take_digits(&c, 2, 0, 59, &minute) ||
		!take_one_of(&c, ":") || !take_digits(&c, 2, 0, 60, &second) ||
		!take_fraction(&c, &ms) || !take_offset(&c, &offset_minutes) || c.at != c.end)
		return false;
	utc_minutes = days * 1440 + (int64_t)hour * 60 + minute - offset_minutes;
	if (second == 60) { /* leap seconds are inserted at the end of a day in UTC */
		if ((utc_minutes % 1440 + 1440) % 1440 != 1439)
			return false;
		second = 59;
		ms = 999;
	}
	wall_ms = utc_minutes * 60000 + (int64_t)second * 1000 + ms;
	if (wall_ms < FIRST_MS || wall_ms > LAST_MS)
		return false;
	*ret_wall_ms = wall_ms;
	return true;
}
