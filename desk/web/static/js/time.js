// Times and durations in words. All times are milliseconds since 1970 in UTC; shown in the browser's time zone.

import { current, decimal, t } from "./i18n.js";

const NEAR_MS = 12 * 60 * 60 * 1000;
let offsetMs = 0;

/** The desk's server says that it is `serverMs` now: ages do not depend on this computer's clock. */
export function setServerTime(serverMs) {
  if (Number.isFinite(serverMs)) offsetMs = serverMs - Date.now();
}

export const nowMs = () => Date.now() + offsetMs;

const two = (n) => String(n).padStart(2, "0");

/** "21:09:41" */
export function clockText(ms) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** "22.11.2026", in English "2026-11-22" */
function dateText(ms) {
  const at = new Date(ms);
  const [year, month, day] = [String(at.getFullYear()), two(at.getMonth() + 1), two(at.getDate())];
  return current() === "en" ? `${year}-${month}-${day}` : `${day}.${month}.${year}`;
}

/** Midnight at the beginning of a day that was typed as `dateText` writes it, `days` later; "" if it is none. */
export function typedDayMs(text, days = 0) {
  const found = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text.trim()) ?? /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(text.trim());
  if (!found) return "";
  const numbers = found.slice(1).map(Number);
  const [year, month, day] = found[1].length === 4 ? numbers : numbers.reverse();
  const at = new Date(year, month - 1, day);
  return at.getMonth() === month - 1 && at.getDate() === day ? new Date(year, month - 1, day + days).getTime() : "";
}

/** The time with its date. */
export const stampText = (ms) => `${dateText(ms)} ${clockText(ms)}`;

/** The time, with the date unless it is today or only hours away. */
export function momentText(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  const near = dateText(ms) === dateText(nowMs()) || Math.abs(nowMs() - ms) < NEAR_MS;
  return near ? clockText(ms) : stampText(ms);
}

/** Ticking age: "2:13", "1:02:13", from a day on in days. */
export function ageText(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s >= 86400) return spanText(ms);
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const UNITS = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000]];

/** "61 ms", "4.2 s", "2 min 13 s", "3 h 5 min": two units at most. */
export function spanText(ms) {
  const span = Math.abs(Math.round(ms));
  if (span < 1000) return t("unit.ms", { n: span });
  if (span < 10000) {
    return t("unit.s", { n: decimal(span / 1000, 1) });
  }
  const whole = Math.floor(span / 1000) * 1000;
  const first = UNITS.findIndex(([, size]) => whole >= size);
  const parts = [];
  let rest = whole;
  for (const [name, size] of UNITS.slice(first, first + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n) parts.push(t(`unit.${name}`, { n }));
  }
  return parts.join(" ");
}
