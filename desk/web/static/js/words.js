// What is known of a call and of a column, in words. Pure: no page, no requests.

import { current, has, t } from "./i18n.js";
import { plain } from "./dom.js";
import { isCall, isLouder, isRevealed, store } from "./store.js";
import { ageText, momentText, nowMs, spanText } from "./time.js";

const WAITED_MS = 10000; // a call that left later than this had to wait for its connection
const QUIET_MS = 5 * 60 * 1000; // no column is quiet for longer that a desk listens to and does not call silent
const FRESH_MS = 2 * 60 * 60 * 1000;

/** Whether the column is in maintenance, and its presses do not ring. */
export const isMuted = (column) => Boolean(column.muted_until_ms) && nowMs() < column.muted_until_ms;

/** The address, or what else tells the place. */
export function placeText(thing) {
  const address = thing.location?.address ?? thing.address;
  return plain(address) || plain(thing.device_id);
}

/** The place of a column by its id. */
export const placeOf = (id) => placeText(store.columns.get(id) ?? { device_id: plain(id, 40) });

export function siteText(site) {
  return has(`site.${site}`) ? t(`site.${site}`) : "";
}

/** A word of the contract in the page's language; a word of next year as it is. */
export function term(kind, word) {
  const key = `${kind}.${word}`;
  return has(key) ? t(key) : plain(word, 64);
}

export const resetText = (cause) => term("reset", cause);
export const taskText = (task) => term("task", task);
export const modeText = (mode) => term("mode", mode);
export const linkText = (link) => term("link", link);
export const sourceText = (source) => term("source", source);

// What a refusal's values say in the server's terms.
const TERMS = {
  state: (state) => term("state-short", state),
  why: (why) => (has(`why.${why}`) ? t(`why.${why}`) : ""),
};

/** Why it was not done: in the reader's language, or in the server's English if it has no code that is known here. */
export function refusalText({ status, code, values = {}, message }) {
  if (status === 0) return t("failed.no-answer");
  if (!has(`refusal.${code}`)) return t("failed.refused", { why: plain(message) });
  const shown = Object.entries(values).map(([name, value]) => [name, Object.hasOwn(TERMS, name) ? TERMS[name](value) : plain(value, 80)]);
  return t(`refusal.${code}`, Object.fromEntries(shown));
}

/** Why there is no picture: a code of its own, or a refusal. */
export const whyNot = (why) => (has(`way-failed.${why.code}`) ? term("way-failed", why.code) : refusalText(why));

/** What a column says of a fault or an event is English: shown where the page is, or where it is all that is known. */
export const ownWords = (isKnown, text) => (isKnown && current() !== "en" ? "" : text);

export function faultText(id) {
  return has(`fault.${id}`) ? t(`fault.${id}`) : t("fault.unknown", { id: plain(id, 40) });
}

/** When the button was pressed: { ms, exact, atLeast }: exact, or counted back over a restart, or perhaps older. */
export function pressedAt(incident) {
  if (incident.clock === "ntp" && Number.isFinite(incident.raised_ms)) {
    return { ms: incident.raised_ms, exact: true, atLeast: false };
  }
  const age = incident.legs?.contact_to_sent_ms ?? incident.age_ms ?? 0; // exact within one run of the column
  return { ms: incident.received_ms - age, exact: !incident.late, atLeast: incident.late && incident.clock !== "kept" };
}

/** "21:09:41", "about 21:09:41", "21:09:41 or earlier"; `textOf` writes the time. */
export function pressedText(incident, textOf = momentText) {
  const at = pressedAt(incident);
  const time = textOf(at.ms);
  if (at.atLeast) return t("pressed.earlier", { time });
  return at.exact ? time : t("pressed.about", { time });
}

const UNPROVEN = ["unconfirmed", "replayed", "unsigned", "forged"];

/** Whether the desk has the column's key, and the call is not proven by it. */
const isUnproven = (incident) => UNPROVEN.includes(incident.origin);

/** Badges of a strip: [{ kind, text }]. */
export function badges(incident) {
  const found = [];
  if (isLouder(incident)) found.push({ kind: "unanswered", text: t("badge.unanswered", { n: incident.unanswered_s }) });
  if (isUnproven(incident)) found.push({ kind: "origin", text: t("badge.origin") });
  if (isRevealed(incident)) found.push({ kind: "exercise", text: t("badge.exercise") });
  if (incident.reopened > 0) found.push({ kind: "reopened", text: t("badge.reopened") });
  if (incident.press > 1) found.push({ kind: "press", text: t("badge.press", { n: incident.press }) });
  if (incident.late) found.push({ kind: "late", text: t("badge.late") });
  if (incident.clock === "none") found.push({ kind: "clock", text: t("badge.clock") });
  return found;
}

/** Who has done what with the call, in one sentence. */
export function stateText(incident) {
  if (!isCall(incident)) return t("state.drill");
  const by = plain(incident.by, 64) || t("unknown");
  switch (incident.state) {
    case "accepted": return t("state.accepted", { by, time: momentText(incident.accepted_ms) });
    case "dispatched": return t("state.dispatched", { by, time: momentText(incident.dispatched_ms) });
    case "closed": return t("state.closed", { by, time: momentText(incident.closed_ms), outcome: endText(incident) });
    default: return t("state.waiting");
  }
}

export function outcomeText(outcome) {
  return term("outcome", outcome);
}

/** What kind of false call. */
export function misuseText(misuse) {
  return term("misuse", misuse);
}

/** How a call ended: its outcome, and of a false one the kind. */
export function endText({ outcome, misuse }) {
  return misuse ? `${outcomeText(outcome)}: ${misuseText(misuse)}` : outcomeText(outcome ?? "");
}

export function statusText(status) {
  return term("status", status);
}

/** The age is that of the first press: who hears of a call at a later one cannot tell whether another centre had it. */
function clockDoubts(incident) {
  const age = incident.legs?.contact_to_sent_ms ?? incident.age_ms ?? 0;
  const found = [];
  if (incident.late && incident.clock === "none") found.push(t("doubt.late-none", { age: spanText(age) }));
  else if (incident.late) found.push(t("doubt.late", { age: spanText(age) }));
  else if (age > WAITED_MS) found.push(t((incident.first_press ?? incident.press) > 1 ? "doubt.waited-or-elsewhere" : "doubt.waited", { age: spanText(age) }));
  if (incident.clock === "none" && !incident.late) found.push(t("doubt.none"));
  if (incident.clock === "kept") found.push(t("doubt.kept"));
  return found;
}

/** What the column said last counts: it looks again in a call, when the alarm has left. "Not reached" is said only when
 * it has tried (fault stream-down); without a clock, or before its first look, nobody knows. */
function streamDoubts(stream, column, faults) {
  const okMs = Math.max(...[stream?.ok_at, column?.info?.stream?.ok_at].map((at) => (at ? Date.parse(at) || 0 : 0)));
  const named = ["webrtc", "rtsp", "http", "sip"].some((form) => stream?.[form]);
  if (!named) return [t("doubt.no-stream")];
  const isDown = (column?.faults ?? []).some((fault) => (fault.id ?? fault) === "stream-down") || faults.includes("stream-down");
  if (!okMs) return [t(isDown ? "doubt.stream-never" : "doubt.stream-unknown")];
  return nowMs() - okMs > FRESH_MS ? [t("doubt.stream-old", { age: spanText(nowMs() - okMs) })] : [];
}

/** Everything about this call that is not certain, most important first: sentences. `column` may be missing. */
export function doubts(incident, column) {
  const found = isUnproven(incident) ? [t(`doubt.origin.${incident.origin}`)] : [];
  found.push(...clockDoubts(incident));
  if (column && isSilent(column)) found.unshift(t("doubt.silent", { since: sinceText(column) }));
  found.push(...(incident.faults ?? []).filter((id) => id !== "clock-unset" || incident.clock === "ntp").slice(0, 20).map(faultText));
  return [...found, ...streamDoubts(incident.stream, column, incident.faults ?? [])];
}

/** The way of the call: [{ key, ms }] with ms null where no common clock tells it. */
export function legs(incident) {
  const known = incident.legs ?? {};
  return ["contact_to_sent_ms", "sent_to_desk_ms", "desk_to_register_ms", "register_to_answer_ms"]
    .map((key) => ({ key, ms: Number.isFinite(known[key]) ? known[key] : null }));
}

export const legText = (ms) => (ms === null ? t("leg.unknown") : spanText(ms));

/** Whether the column fell silent, whatever else is the matter with it. */
export const isSilent = (column) => Number.isFinite(column.silent_since_ms)
  && (["silent", "offline"].includes(column.presence) || ["silent", "offline"].includes(column.status));

/** Whether it is known since when a silent column is silent: "since", "by" (or earlier) or "unheard". */
function sinceKind(column) {
  if (!Number.isFinite(column.heard_ms)) return "unheard"; // the broker told what it had in store
  return column.silent_since_ms - column.heard_ms > QUIET_MS ? "by" : "since";
}

const sinceText = (column) => t(`silence.${sinceKind(column)}`, { time: momentText(column.silent_since_ms) });

/** How long a column has been silent; "" where nobody knows. */
export const silentAge = (column) => (sinceKind(column) === "since" ? ageText(nowMs() - column.silent_since_ms) : "");

/** One line of a column: its status in words. */
export function columnText(column) {
  if (isMuted(column)) return t("upkeep.in-maintenance", { time: momentText(column.muted_until_ms) });
  if (column.status === "silent" || column.status === "offline") {
    if (!isSilent(column)) return t("column.unheard");
    return t(`column.${column.status}`, { since: sinceText(column) });
  }
  if (column.status === "fault") {
    const ids = (column.faults ?? []).map((fault) => faultText(fault.id ?? fault));
    return ids.length ? ids.join(" ") : t("column.fault");
  }
  if (column.status === "alarm") {
    return t("column.alarm", { n: column.open?.length ?? 1 });
  }
  return term("column", column.status);
}

/** Of a silent column: since when, and what it said last: "All was well", or its faults. Sentences. */
export function silenceTexts(column) {
  const said = (column.faults ?? []).map((fault) => faultText(fault.id ?? fault)).join(" ");
  if (sinceKind(column) === "unheard") return [sinceText(column), ...(said ? [t("silence.stored", { said })] : [])];
  return [sinceText(column), t("silence.last", { time: momentText(column.heard_ms), said: said || t("silence.well") })];
}

/** One entry of a timeline, in words. */
export function entryText(entry) {
  const detail = entry.detail;
  const values = { by: plain(entry.by, 64) || t("unknown") };
  if (entry.kind === "closed") values.outcome = typeof detail === "string" ? outcomeText(detail) : endText(detail ?? {});
  if (entry.kind.startsWith("step-")) {
    const who = detail?.tell === "desks" ? t("officer.desks") : plain(detail?.tell, 40);
    Object.assign(values, { who, after: plain(detail?.after_s, 10), why: plain(detail?.why, 300) || t("unknown") });
  }
  if (entry.kind === "readback") return t(detail?.right ? "entry.readback-right" : "entry.readback-wrong", { ...values, text: plain(detail?.text, 200) });
  if (entry.kind === "exercise-ended") return t(detail?.why === "real-call" ? "entry.exercise-real" : "entry.exercise-missed");
  if (entry.kind === "nobody-here") values.why = has(`absent-why.${detail?.why}`) ? t(`absent-why.${detail.why}`) : t("unknown");
  if (entry.kind === "press" && detail?.press > 1) return t("entry.press-again", { n: plain(detail.press, 10) });
  if (entry.kind === "shut") values.span = spanText(Number(detail?.ms) || 0);
  if (["opened", "shut"].includes(entry.kind) && has(`entry.${entry.kind}-${detail?.way}`)) return t(`entry.${entry.kind}-${detail.way}`, values);
  if (["opened", "shut"].includes(entry.kind) && detail?.camera) {
    return t(`entry.${entry.kind}-camera`, { ...values, camera: plain(detail.camera, 120) });
  }
  if (has(`entry.${entry.kind}`)) return t(`entry.${entry.kind}`, values);
  return plain(entry.kind, 40);
}

/** The free text of an entry: a note, an operator's remark at closing; or that the register could not take it then. */
export function entryNote(entry) {
  if (entry.detail?.unrecorded) return t("entry.unrecorded");
  if (entry.kind === "note") return plain(typeof entry.detail === "string" ? entry.detail : entry.detail?.text, 2000);
  return plain(entry.detail?.note, 2000);
}
