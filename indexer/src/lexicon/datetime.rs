//! Datetimes as the AT Protocol has them: what RFC 3339, ISO 8601 and HTML agree on.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

/// The longest text that is looked at. The shortest lawful one has 20 characters.
const MAX_CHARS: usize = 64;

/// Reads a Lexicon `datetime`: `YYYY-MM-DDThh:mm:ss`, any number of fractional digits, and a time zone, `Z` or
/// `±hh:mm`. Capital letters only, no leap second, not `-00:00`.
///
/// The years are 1 to 9999 in UTC, which Postgres can hold and this can read back. Digits beyond the nanosecond are cut.
pub fn parse_datetime(text: &str) -> Option<DateTime<Utc>> {
    if text.len() > MAX_CHARS || !text.is_ascii() {
        return None;
    }
    let (moment, rest) = text.split_at_checked(19)?;
    let [date, time] = moment.split('T').collect::<Vec<_>>().try_into().ok()?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(digits);
            (nanoseconds(fraction)?, zone)
        }
        None => (0, rest),
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?;
    let utc = date.and_time(time).and_utc().checked_sub_signed(TimeDelta::minutes(offset_minutes(zone)?))?;
    (1..=9999).contains(&utc.year()).then_some(utc)
}

/// Reads a moment as teal's history holds it: a datetime, or whole seconds since 1970 as digits.
pub fn parse_datetime_or_unix(text: &str) -> Option<DateTime<Utc>> {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return parse_datetime(text);
    }
    let moment = DateTime::from_timestamp(text.parse().ok()?, 0)?;
    (moment.year() <= 9999).then_some(moment)
}

/// Splits text into three numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u32; 3]> {
    let parts: [&str; 3] = text.split(separator).collect::<Vec<_>>().try_into().ok()?;
    let mut numbers = [0; 3];
    for ((part, digits), number) in parts.iter().zip(digits).zip(&mut numbers) {
        *number = number_of(part, digits)?;
    }
    Some(numbers)
}

fn number_of(text: &str, digits: usize) -> Option<u32> {
    // `u32::from_str` alone would take a sign.
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The first nine digits of a fraction, as if nine were written.
fn nanoseconds(fraction: &str) -> Option<u32> {
    let digits = fraction.get(..9.min(fraction.len())).filter(|digits| !digits.is_empty())?;
    digits.parse::<u32>().ok()?.checked_mul(10u32.pow(9 - digits.len() as u32))
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number_of(hours, 2)?, number_of(minutes, 2)?);
    let offset = i64::from(hours * 60 + minutes);
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(offset),
        "-" if offset > 0 => Some(-offset),
        _ => None,
    }
}
