// What the page knows, and who wants to hear of changes.

import { nowMs } from "./time.js";

const STATES = ["new", "received", "accepted", "dispatched", "closed"];

const KEPT_MAX = 500;

export const store = {
  me: null,
  config: {},
  columns: new Map(), // device_id -> column
  incidents: new Map(), // id -> incident: all open ones, and closed ones seen since the page was opened
  selected: null, // { kind: "incident" | "column", id } or null
  view: "board",
  server: false, // is there a feed
  broker: false,
  why: "", // a code of what is wrong with the server: see why.* in the languages
  nobody: "", // a code of why nobody seems to be at this desk: see absent.* in the languages
  recording: "", // a code of why calls are not recorded as they should be: see banner-recording.* in the languages
  flooding: [], // device ids
  lostMs: null, // since when there is no feed, or a feed and no broker
};

const listeners = new Map();

/** `listener(what)` hears of changes of `topic`: incidents, columns, selected, desk, view, press, louder. */
export function on(topic, listener) {
  listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
}

export function tell(topic, what) {
  for (const listener of listeners.get(topic) ?? []) listener(what);
}

const rank = (incident) => [
  incident.reopened ?? 0, Math.max(0, STATES.indexOf(incident.state)), incident.press ?? 0, incident.transmissions ?? 0,
];

/** Whether `next` was written before `known`: the feed and an answer to a click may overtake each other. */
function isOlder(next, known) {
  const [a, b] = [rank(next), rank(known)];
  const first = a.findIndex((value, index) => value !== b[index]);
  return first >= 0 && a[first] < b[first];
}

export const isActual = (incident) => incident.status === "actual";
export const isOpen = (incident) => incident.state !== "closed";
export const isUnanswered = (incident) => incident.state === "new" || incident.state === "received";

/** Raised by the desk to see who answers; rings as a call does. */
export const isExercise = (incident) => incident.status === "exercise";
export const isCall = (incident) => isActual(incident) || isExercise(incident);
/** An exercise looks like any call at first: until somebody accepts it, for some seconds at most. */
export const isRevealed = (incident) => isExercise(incident)
  && (!isUnanswered(incident) || nowMs() - incident.received_ms >= (store.config.disguise_s ?? 0) * 1000);

/** Somebody asks for help, or seems to: every part of the page goes by this, else one of them tells an exercise. */
export const seemsActual = (incident) => isActual(incident) || (isExercise(incident) && !isRevealed(incident));

const disguised = () => [...store.incidents.values()].filter((one) => isExercise(one) && isOpen(one) && !isRevealed(one));

/** All columns as they seem: one that raises an exercise has a call as long as that looks like one. */
export function columnsSeen() {
  const hidden = disguised();
  return [...store.columns.values()].map((column) => withCalls(column, hidden));
}

/** One of them, as it seems; undefined: nobody has heard of it. */
export function columnSeen(id) {
  const column = store.columns.get(id);
  return column && withCalls(column, disguised());
}

function withCalls(column, hidden) {
  const ids = hidden.filter((one) => one.device_id === column.device_id).map((one) => one.id);
  return ids.length ? { ...column, status: "alarm", open: [...(column.open ?? []), ...ids] } : column;
}

/** Whether that column raises an exercise that looks like a call. */
export const isDisguised = (id) => disguised().some((one) => one.device_id === id);

/** Nobody has accepted for so long that all desks ring louder. */
export const isLouder = (incident) => isUnanswered(incident) && incident.unanswered_s > 0;

/** Open calls and exercises, no tests; oldest first, calls before what is known to be an exercise. */
export function openCalls() {
  return [...store.incidents.values()].filter((one) => isCall(one) && isOpen(one))
    .sort((a, b) => isRevealed(a) - isRevealed(b) || a.received_ms - b.received_ms || (a.id < b.id ? -1 : 1));
}

/** A new state of one incident. Tells `incidents`, and `press` when somebody pressed (again). */
export function putIncident(incident) {
  if (typeof incident?.id !== "string") return;
  const known = store.incidents.get(incident.id);
  if (known && isOlder(incident, known)) return;
  forget();
  store.incidents.set(incident.id, known ? { ...known, ...incident } : incident);
  const again = known && (incident.press > known.press || incident.reopened > known.reopened);
  if (isLouder(incident) && known && !isLouder(known)) tell("louder", incident.id);
  if (isCall(incident) && isOpen(incident) && (!known || again)) tell("press", { incident, again: Boolean(known) });
  tell("incidents", incident.id);
  if (isExercise(incident)) tell("columns", incident.device_id); // how its column seems
}

export function putColumn(column) {
  if (typeof column?.device_id !== "string") return;
  store.columns.set(column.device_id, column);
  tell("columns", column.device_id);
}

/** A page stays open for months: what is over is forgotten, oldest first. */
function forget() {
  if (store.incidents.size <= KEPT_MAX) return;
  const over = [...store.incidents.values()].filter((one) => !(isCall(one) && isOpen(one)) && one.id !== store.selected?.id);
  for (const one of over.slice(0, store.incidents.size - KEPT_MAX)) store.incidents.delete(one.id);
}

/** All open calls as the server has them now: one that it no longer has open was closed meanwhile. */
export function resyncIncidents(open) {
  const ids = new Set(open.map((incident) => incident.id));
  const vanished = [...store.incidents.values()].filter((one) => isCall(one) && isOpen(one) && !ids.has(one.id));
  for (const incident of open) putIncident(incident);
  tell("incidents", null);
  return vanished.map((one) => one.id);
}

export function resyncColumns(columns) {
  store.columns = new Map(columns.map((column) => [column.device_id, column]));
  tell("columns", null);
}

export function select(kind, id) {
  store.selected = id === null ? null : { kind, id };
  tell("selected", store.selected);
}

export const selectedIncident = () =>
  (store.selected?.kind === "incident" ? store.incidents.get(store.selected.id) : undefined) ?? null;

export function go(view) {
  store.view = view;
  tell("view", view);
}
