// The list of columns, and the panel of one: its true state, what it says of itself, and commands to it.

import { Refused, post } from "./api.js";
import { button, el, keyed, plain, setAttribute, setText } from "./dom.js";
import { columnEvents } from "./events.js";
import { apply, decimal, has, t } from "./i18n.js";
import { gate, isHalfIn, may, mayNot } from "./rights.js";
import { columnSeen, columnsSeen, isOpen, on, seemsActual, select, store } from "./store.js";
import { ageText, momentText, nowMs, spanText } from "./time.js";
import { columnText, faultText, linkText, modeText, ownWords, placeText, refusalText, resetText, siteText, sourceText, statusText, taskText } from "./words.js";

const URGENCY = { alarm: 0, silent: 1, offline: 1, fault: 2, ready: 3 };
const COMMANDS = ["identify", "selftest", "report", "drill", "exercise", "restart"];
const EXERCISE = "exercise"; // no command of its own: real calls come first
const RESTART = "restart"; // asks once more
const RIGHT = "POST /api/columns/{device_id}/command";
const RIGHTS = { [EXERCISE]: "POST /api/columns/{device_id}/exercise", [RESTART]: `${RIGHT} ${RESTART}` }; // of their own
const CODE = "POST /api/columns/{device_id}/code";

let shown = null;
let filter = "";

const matches = (column) => `${column.device_id} ${column.address ?? ""}`.toLocaleLowerCase().includes(filter);

function createRow({ device_id: id }) {
  const open = button({ class: "column-open" }, () => select("column", id), el("span", { class: "lamp", "aria-hidden": "true" }),
    el("span", { class: "column-text" }, el("b"), el("small"), el("span", { class: "column-says" })));
  return el("li", { testid: `column-${id}` }, open);
}

function updateRow(row, column) {
  setAttribute(row, "data-status", column.status);
  const { kind, id } = store.selected ?? {};
  setAttribute(row, "data-selected", kind === "column" && id === column.device_id);
  setText(row.querySelector("b"), placeText(column));
  setText(row.querySelector("small"), plain(column.device_id, 40));
  setText(row.querySelector(".column-says"), columnText(column));
}

function renderList() {
  const all = columnsSeen();
  const found = all.filter(matches).sort((a, b) => (URGENCY[a.status] ?? 2) - (URGENCY[b.status] ?? 2) || (a.device_id < b.device_id ? -1 : 1));
  keyed(document.getElementById("columns"), found, (one) => one.device_id, createRow, updateRow);
  const none = document.getElementById("columns-none");
  none.hidden = found.length > 0;
  setText(none, all.length ? t("columns.no-match") : t(isHalfIn() ? "desk.half-in" : "columns.none"));
}

/** "All 15 columns that were heard are ready." or what is not so; nothing while a call is open: the strips say it then. */
function renderCalm() {
  const all = columnsSeen();
  const open = [...store.incidents.values()].some((one) => isOpen(one) && seemsActual(one));
  const calm = document.getElementById("calm");
  const count = (...statuses) => all.filter((one) => statuses.includes(one.status)).length;
  const [silent, faulty] = [count("silent", "offline"), count("fault")];
  setAttribute(calm, "data-well", !silent && !faulty);
  let text = "";
  if (!open && all.length) {
    text = silent || faulty
      ? [silent && t("calm.silent", { n: silent }), faulty && t("calm.fault", { n: faulty }), t("calm.of", { n: all.length })].filter(Boolean).join(" · ")
      : t("calm.well", { n: all.length });
    text = `${t("calm.no-call")} ${text}`;
  }
  setText(calm, text);
  calm.hidden = !text;
}

// -- the panel of one column

function build(id) {
  const parts = { place: el("h2", { class: "place" }), facts: el("p", { class: "facts" }), says: el("p", { class: "state" }),
    faults: el("ul", { class: "doubts" }), data: el("dl", { class: "legs" }), calls: el("p", { class: "calls" }), said: el("p", { class: "said", role: "status", testid: "command-said" }),
    mayNot: el("p", { class: "none", testid: "command-may-not" }),
    commands: el("div", { class: "commands" }) };
  const events = columnEvents(id);
  const code = consoleCode(id);
  const leave = button({ class: "leave", testid: "panel-close", "data-t-label": "panel.close" }, () => select("column", null), "×");
  for (const cmd of COMMANDS) parts.commands.append(button({ class: "quiet", testid: `command-${cmd}`, "data-command": cmd }, () => command(cmd)));
  const node = el("article", { class: "panel column-panel", testid: "column-panel", "data-id": id },
    el("header", { class: "panel-head" }, leave, parts.place, parts.facts, parts.says),
    el("div", { class: "panel-scroll" }, parts.calls, parts.faults, parts.data, el("h3", { "data-t": "command.title" }), parts.commands, parts.mayNot, parts.said, events.result, code.node,
      el("h3", { "data-t": "events.title" }), ...events.list));
  return { id, node, parts, events, code, asked: "" };
}

/** A technician at the column reads the challenge out; the code that is shown counts once. */
function consoleCode(id) {
  const challenge = el("input", { type: "text", inputmode: "text", maxlength: "32", required: true, autocomplete: "off", spellcheck: "false", placeholder: "16777300-1", testid: "code-challenge" });
  const said = el("p", { class: "said", role: "status", testid: "code-said" });
  const make = el("button", { type: "submit", class: "quiet", testid: "code-make", "data-t": "console.make" });
  const asks = async (event) => {
    event.preventDefault();
    const asked = challenge.value.trim();
    try {
      const { code } = await post(`/api/columns/${encodeURIComponent(id)}/code`, { challenge: asked });
      setText(said, t("console.code", { challenge: plain(asked, 32), code: plain(code, 16) }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setText(said, refusalText(error));
    }
  };
  const form = el("form", { class: "commands", on: { submit: asks } }, el("label", {}, el("span", { "data-t": "console.challenge" }), " ", challenge), make);
  return { make, node: el("details", { testid: "code" }, el("summary", { "data-t": "console.title" }), el("p", { class: "none", "data-t": "console.note" }), form, said) };
}

function facts(column) {
  const heartbeat = column.heartbeat ?? {};
  const info = column.info ?? {};
  const given = (value, text) => (value === null || value === undefined || value === "" ? "" : text(value));
  return [
    ["heard", given(column.heard_ms, (ms) => t("fact.heard", { time: momentText(ms), age: ageText(nowMs() - ms) }))],
    ["link", given(column.link, linkText) + given(column.rssi_dbm, (dbm) => `, ${t("unit.dbm", { n: dbm })}`)],
    ["supply", given(column.supply_mv, (mv) => t("unit.v", { n: decimal(mv / 1000, 1) }))],
    ["clock", given(column.clock, (clock) => t(`clock.${["ntp", "kept"].includes(clock) ? clock : "none"}`))],
    ["uptime", given(heartbeat.uptime_s, (s) => spanText(s * 1000))],
    ["reset", given(info.reset?.cause, resetText) + given(info.reset?.culprit, (culprit) => ` (${taskText(culprit)})`)],
    ["queue", given(heartbeat.queue, (n) => String(n))],
    ["mode", given(column.mode, modeText)],
    ["origin", has(`fact.origin.${column.origin}`) ? t(`fact.origin.${column.origin}`) : t("fact.origin.none")],
    ["fw", given(column.fw, (fw) => plain(fw, 40))],
    ["hw", [info.hw?.chip, info.hw?.micropython, info.hw?.uid].filter(Boolean).map((part) => plain(part, 40)).join(" · ")],
    ["config", [plain(info.config?.digest, 64), given(info.config?.source, sourceText)].filter(Boolean).join(" · ")],
  ].filter(([, text]) => text);
}

function update() {
  const column = shown && columnSeen(shown.id);
  if (!column) return;
  const { node, parts } = shown;
  setAttribute(node, "data-status", column.status);
  setText(parts.place, placeText(column));
  setText(parts.facts, [plain(column.device_id, 40), siteText(column.site), plain(column.region, 40)].filter(Boolean).join(" · "));
  setText(parts.says, column.status === "fault" ? statusText(column.status) : columnText(column));
  const faults = (column.faults ?? []).slice(0, 40);
  keyed(parts.faults, faults, (fault) => fault.id, () => el("li", {}, el("span"), el("small")), (row, fault) => {
    setText(row.firstChild, faultText(fault.id));
    const since = fault.since ? t("fact.since", { time: momentText(Date.parse(fault.since)) }) : "";
    setText(row.lastChild, [since, ownWords(has(`fault.${fault.id}`), plain(fault.detail))].filter(Boolean).join(" · "));
  });
  keyed(parts.data, facts(column), ([name]) => name, () => el("div", {}, el("dt"), el("dd")), (row, [name, text]) => {
    setText(row.firstChild, t(`fact.${name}.name`));
    setText(row.lastChild, text);
  });
  keyed(parts.calls, (column.open ?? []).map((id) => ({ id })), (one) => one.id,
    ({ id }) => button({ class: "primary" }, () => select("incident", id)), (one, { id }) => setText(one, t("column.open-call", { id: plain(id, 60) })));
  for (const one of parts.commands.children) {
    const cmd = one.dataset.command;
    setText(one, shown.asked === cmd ? t("command.sure") : t(`command.${cmd}`));
    gate(one, RIGHTS[cmd] ?? RIGHT);
  }
  setText(parts.mayNot, mayNot(RIGHT) || (may(RIGHTS[RESTART]) ? "" : t("command.chief")));
  gate(shown.code.make, CODE);
  shown.events.update();
}

/** Restart asks once more: the column is away for seconds. */
async function command(cmd) {
  const mine = shown;
  if (cmd === RESTART && mine.asked !== cmd) {
    mine.asked = cmd;
    return update();
  }
  mine.asked = "";
  update();
  setText(mine.parts.said, t("command.sending"));
  try {
    const path = `/api/columns/${encodeURIComponent(mine.id)}`;
    await (cmd === EXERCISE ? post(`${path}/exercise`) : post(`${path}/command`, { cmd }));
    setText(mine.parts.said, t("command.sent", { command: t(`command.${cmd}`) }));
    mine.events.read();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(mine.parts.said, refusalText(error));
  }
}

function show() {
  const id = store.selected?.kind === "column" && store.columns.has(store.selected.id) ? store.selected.id : null;
  if (shown && shown.id !== id) {
    shown.node.remove();
    shown = null;
  }
  if (id !== null && !shown) {
    shown = build(id);
    document.getElementById("side").append(shown.node);
    apply(shown.node);
    shown.events.read();
  }
  update();
  renderList();
}

/** Draws everything anew, in the present language. */
export function render() {
  renderList();
  renderCalm();
  update();
}

export const tick = update;

export function setFilter(text) {
  filter = text.trim().toLocaleLowerCase();
  renderList();
}

on("selected", show);
on("columns", (id) => {
  renderList();
  renderCalm();
  update();
  if (shown && (id === null || id === shown.id)) shown.events.read();
});
on("incidents", renderCalm);
