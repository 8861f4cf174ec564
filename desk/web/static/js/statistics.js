// Figures: how many calls and what came of them, how fast, how much of the time each column was there.

import { asker, get, query } from "./api.js";
import { el, plain } from "./dom.js";
import { decimal, t } from "./i18n.js";
import { on, store } from "./store.js";
import { momentText, nowMs, spanText, stampText } from "./time.js";
import { misuseText, outcomeText, placeOf, refusalText, siteText } from "./words.js";

const DAYS = [7, 30, 365];
const DAY_MS = 86400000;

let host = null;
let days = DAYS[2];
let found = null;

function bars(title, counts, textOf) {
  const entries = Object.entries(counts ?? {});
  const most = Math.max(1, ...entries.map(([, n]) => n));
  const rows = entries.map(([name, n]) => {
    const bar = el("span", { class: "bar-fill" });
    bar.style.width = `${(100 * n) / most}%`;
    return el("tr", { "data-name": name }, el("th", { scope: "row", text: textOf(name) }), el("td", { class: "number", text: String(n) }),
      el("td", { class: "bar-cell", "aria-hidden": "true" }, bar));
  });
  const body = rows.length ? el("table", {}, el("tbody", {}, ...rows)) : el("p", { class: "none", text: t("statistics.nothing") });
  return el("section", { class: "card" }, el("h3", { text: t(title) }), body);
}

const figure = (ms) => (ms === null || ms === undefined ? "–" : spanText(ms));

function times(title, values, testid) {
  const heads = ["p50", "p95", "p99", "n"];
  const text = (name) => (name === "n" ? String(values?.n ?? 0) : figure(values?.[name]));
  return el("section", { class: "card", testid }, el("h3", { text: t(title) }), el("table", {},
    el("tbody", {}, ...heads.map((name) => el("tr", {}, el("th", { scope: "row", text: t(`statistics.${name}`) }),
      el("td", { class: "number", "data-figure": name, text: text(name) }))))),
  ...(values?.left_out ? [el("p", { class: "none", "data-figure": "left-out", text: t("statistics.left-out", { n: values.left_out }) })] : []));
}

/** A share as a percentage that never rounds up to 100: that would be a promise. */
function share(value) {
  if (value === null || value === undefined) return "–";
  const digits = value > 0.99 && value < 1 ? 3 : 1;
  return `${decimal(Math.floor(value * 100 * 10 ** digits) / 10 ** digits, value === 1 ? 0 : digits)} %`;
}

function availability(list) {
  const rows = (list ?? []).map((row) => el("tr", { "data-device": row.device_id },
    el("th", { scope: "row", text: placeOf(row.device_id) }),
    el("td", { class: "number", text: share(row.days7) }), el("td", { class: "number", text: share(row.months12) })));
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col", text: t("statistics.column") }),
    el("th", { scope: "col", text: t("statistics.days7") }), el("th", { scope: "col", text: t("statistics.months12") })));
  return el("section", { class: "card wide", testid: "availability" }, el("h3", { text: t("statistics.availability") }),
    el("table", {}, head, el("tbody", {}, ...rows)), el("p", { class: "none", text: t("statistics.availability-note") }));
}

const HOURS = ["night", "day", "evening"];

/** A shift as it was: from when to when, and who, as far as whoever asks may see names. */
function shiftText({ from_ms: from, to_ms: to, people, names = [] }) {
  const when = `${stampText(from)} – ${to === null ? t("statistics.shift-on") : stampText(to)}`;
  const who = names.map((name) => plain(name, 64)).join(", ");
  return `${when}, ${names.length === people ? who : t("statistics.people", { n: people }) + (who ? ` (${who})` : "")}`;
}

/** How soon people accepted: in all, by shift and by person, against the target. Exercises: what became of them. */
function answers(title, figures, testid) {
  if (!figures) return null;
  const { s = 0, share: wanted = 0 } = found.target ?? {};
  const ofExercises = Number.isFinite(figures.all.missed);
  const outcome = (one) => (ofExercises ? [one.address_right, one.address_wrong, one.missed] : []).map((n) => el("td", { class: "number", text: String(n ?? "") }));
  const line = (name, one) => el("tr", { "data-late": String(one.within !== null && one.within < wanted) }, el("th", { scope: "row", text: name }),
    el("td", { class: "number", text: String(one.n) }), el("td", { class: "number", text: one.p50_ms === null ? "–" : spanText(one.p50_ms) }),
    el("td", { class: "number", text: one.p90_ms === null ? "–" : spanText(one.p90_ms) }), el("td", { class: "number", text: share(one.within) }),
    el("td", { class: "number", text: String(one.unaccepted) }), ...outcome(one));
  const rows = [line(t("statistics.all"), figures.all),
    ...figures.by_shift.map((one) => line(shiftText(one), one)),
    ...(figures.off_duty?.n ? [line(t("statistics.off-duty"), figures.off_duty)] : []),
    ...HOURS.filter((one) => figures.by_hours[one].n).map((one) => line(t(`shift.${one}`), figures.by_hours[one])),
    ...Object.entries(figures.by_person).map(([name, one]) => line(plain(name, 64), one))];
  const heads = [t("statistics.who"), t("statistics.calls"), t("statistics.half"), t("statistics.most")].map((text) => el("th", { scope: "col", text }));
  heads.push(el("th", { scope: "col", text: t("statistics.within", { n: s }) }), el("th", { scope: "col", text: t("statistics.unaccepted") }));
  const note = [t("statistics.target", { n: s, share: Math.round(wanted * 100) })];
  if (ofExercises) heads.push(...["right", "wrong", "missed"].map((name) => el("th", { scope: "col", text: t(`statistics.exercise-${name}`) })));
  return el("section", { class: "card wide", testid }, el("h3", { text: t(title) }), el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)),
    el("p", { class: "none", text: note.join(" ") }));
}

const HOUR_MIN = 60;
const minuteText = (minute) => `${String(Math.floor(minute / 60) % 24).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;

/** What a column's false calls have in common: close together, at one hour, on one weekday. */
function patterns({ repeated, most_in_a_week: most, hour, weekday }) {
  return [repeated ? t("statistics.repeated", { n: most }) : "",
    hour ? t("statistics.same-hour", { n: hour.n, from: minuteText(hour.minute), to: minuteText(hour.minute + HOUR_MIN) }) : "",
    weekday ? t("statistics.same-weekday", { n: weekday.n, day: t(`weekday.${weekday.day}`) }) : ""].filter(Boolean);
}

/** Columns with false calls. Nothing here ever keeps a press from ringing. */
function misuse(list) {
  if (!list) return null;
  const rows = list.map((one) => el("tr", { "data-device": one.device_id },
    el("th", { scope: "row", text: placeOf(one.device_id) }),
    el("td", { class: "number", text: t("statistics.false-of", { false: one.false, closed: one.closed }) }), el("td", { class: "number", text: share(one.share) }),
    el("td", { text: Object.entries(one.kinds ?? {}).map(([kind, n]) => `${misuseText(kind)}: ${n}`).join("; ") }),
    el("td", { text: patterns(one).join("; ") })));
  return el("section", { class: "card wide", testid: "misuse" }, el("h3", { text: t("statistics.misuse") }),
    rows.length ? el("table", {}, el("tbody", {}, ...rows)) : "",
    rows.length ? el("p", { class: "files" }, el("a", { class: "file", href: `/api/misuse.csv${period()}`, download: "", text: t("register.csv"), testid: "misuse-csv" })) : "", el("p", { class: "none", text: t(rows.length ? "statistics.misuse-note" : "statistics.misuse-none") }));
}

function draw() {
  const chooser = el("select", { testid: "statistics-days", on: { change: (event) => { days = Number(event.target.value); read(); } } },
    ...DAYS.map((n) => el("option", { value: String(n), text: t("statistics.days", { n }) })));
  chooser.value = String(days);
  const head = el("div", { class: "statistics-head" }, el("h2", { text: t("nav.statistics") }),
    el("label", {}, el("span", { text: t("statistics.period") }), chooser));
  if (!found) return host.replaceChildren(head);
  const drills = found.drills ?? {};
  const last = Object.values(drills.last_ms ?? {});
  const drillNote = last.length ? t("statistics.drill-last", { time: momentText(Math.max(...last)) }) : "";
  host.replaceChildren(head,
    el("p", { class: "total", testid: "statistics-total", text: t("statistics.total", { n: found.total ?? 0 }) + (found.open ? ` ${t("statistics.open", { n: found.open })}` : "") }),
    el("div", { class: "cards" },
      bars("statistics.by_outcome", found.by_outcome, outcomeText), bars("statistics.by_site", found.by_site, siteText),
      bars("statistics.by_month", found.by_month, (month) => plain(month, 10)),
      times("statistics.press_to_desk", found.press_to_desk_ms, "press-to-desk"),
      times("statistics.press_to_accept", found.press_to_accept_ms, "press-to-accept"),
      ...[answers("statistics.answers", found.answers, "answers"), answers("statistics.exercises", found.exercises, "exercises"), misuse(found.misuse)].filter(Boolean), availability(found.availability)),
    el("h2", { text: t("register.drills") }),
    el("p", { class: "total", testid: "statistics-drills", text: [t("statistics.drills", { n: drills.total ?? 0 }), drillNote].filter(Boolean).join(" ") }),
    el("div", { class: "cards" }, times("statistics.press_to_desk", drills.press_to_desk_ms, "drill-to-desk")));
}

const period = () => query({ from_ms: Math.round(nowMs() - days * DAY_MS) });

const ask = asker((answer) => {
  found = answer;
  draw();
}, (error) => {
  draw();
  host.append(el("p", { class: "wrong", role: "alert", text: refusalText(error) }));
});

const read = () => ask(() => get("/api/statistics" + period()));

export function mount(element) {
  host = element;
}

/** Draws everything anew, in the present language. */
export function render() {
  if (store.view === "statistics") draw();
}

on("view", (view) => { if (view === "statistics") read(); });
