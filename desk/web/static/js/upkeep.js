// The upkeep: what of each column is proven, what is wrong with the roster, why columns were down, who repairs them.

import { Refused, asker, get, post } from "./api.js";
import { button, el, plain, setText, table } from "./dom.js";
import { current, decimal, has, t } from "./i18n.js";
import { gate, mayNot } from "./rights.js";
import { on, store } from "./store.js";
import { momentText, nowMs, spanText, stampText } from "./time.js";
import { faultText, refusalText, term } from "./words.js";

const REFRESH_MS = 15000;
const MONTHS = 12;
const SYMBOLS = { proven: "●", overdue: "◐", unproven: "○", broken: "✕", absent: "–" };
const CAUSES = ["supply", "link", "broker", "desk", "camera", "firmware", "vandalism", "works", "maintenance", "unknown"];
const HOURS = [1, 4, 24, 72, 168];
const MINUTE_MS = 60000;

let host = null;
let found = null;
let month = null;
let downtime = null; // { device_id, down, corrections } of the column that was chosen

const causeText = (cause) => term("cause", cause);
const lifeText = (state) => t(`life.${state}`);

/** A share that never rounds up to 100: that would be a promise. */
export function percent(part, whole) {
  if (!whole) return "–";
  return `${part === whole ? 100 : Math.min(99, Math.floor((100 * part) / whole))} %`;
}

function findingText(finding) {
  const values = Object.entries(finding.values ?? {}).map(([name, value]) => [name, plain(value, 120)]);
  return has(`finding.${finding.kind}`) ? t(`finding.${finding.kind}`, Object.fromEntries(values)) : plain(finding.kind, 40);
}

/** Why a link is as it is, with the time of its last proof. */
export function linkStateText(link) {
  const parts = [t(`proof.${link.state}`)];
  if (link.fault) parts.push(faultText(link.fault));
  if (link.at_ms !== null && link.state !== "absent") parts.push(t("proof.last", { time: momentText(link.at_ms) }));
  return parts.join(" ");
}

/** "Down: supply, since 21:09:41", "Proven". */
export function columnState(column) {
  if (column.maintenance) {
    return column.muted ? t("upkeep.in-maintenance", { time: momentText(column.maintenance.until_ms) }) : t("upkeep.maintenance-over");
  }
  if (column.state !== "down") return lifeText(column.state);
  return t("upkeep.down", { cause: causeText(column.cause), time: momentText(column.since_ms) });
}

// -- parts of the view

function headline() {
  const share = found.share;
  return el("section", { class: "card wide", testid: "upkeep-share" },
    el("p", { class: "share" }, el("b", { text: percent(share.proven, share.total) }), el("span", { text: t("upkeep.share", { n: share.proven, total: share.total }) })),
    el("p", { text: t("upkeep.call-share", { n: share.call_proven, total: share.total }) }),
    el("p", { class: "none", text: t("upkeep.share-note", { days: found.button_days }) }),
    found.roster_refused ? el("p", { class: "wrong", role: "alert", testid: "roster-refused", text: t("upkeep.roster-refused", { why: plain(found.roster_refused, 500) }) }) : "",
    found.keys_refused ? el("p", { class: "wrong", role: "alert", testid: "keys-refused", text: t("upkeep.keys-refused", { why: plain(found.keys_refused, 500) }) }) : "",
    found.roster ? "" : el("p", { class: "wrong", text: t("upkeep.no-roster") }),
    el("p", { class: "files" }, el("a", { class: "file", href: "/wall", text: t("upkeep.wall") }),
      el("a", { class: "file", href: "/api/upkeep.csv", download: "", text: t("register.csv"), testid: "upkeep-csv" })));
}

/** What an auditor finds disabled, and why. */
const refusedLine = () => el("p", { class: "none", testid: "upkeep-may-not", text: mayNot("POST /api/columns/{device_id}/order") });

function findings() {
  if (!found.roster && !found.findings.length) return ""; // nothing was compared: the headline says why
  const rows = found.findings.map((one) => el("li", { "data-kind": one.kind }, el("b", { text: plain(one.device_id, 40) }), " ", el("span", { text: findingText(one) })));
  return el("section", { class: "card wide", testid: "upkeep-findings" }, el("h3", { text: t("upkeep.findings", { n: rows.length }) }),
    rows.length ? el("ul", { class: "findings" }, ...rows) : el("p", { class: "none", text: t("upkeep.no-findings") }));
}

function linkCell(link) {
  const text = `${t(`link-name.${link.name}`)}: ${linkStateText(link)}`;
  return el("td", { class: "link", "data-state": link.state, "data-link": link.name, title: text },
    el("span", { "aria-hidden": "true", text: SYMBOLS[link.state] ?? "?" }), el("span", { class: "unseen", text }));
}

function columnRow(column) {
  const name = plain(column.device_id, 40);
  return el("tr", { testid: `upkeep-${name}`, "data-state": column.maintenance ? "maintenance" : column.state },
    el("th", { scope: "row" }, el("span", { text: name }), el("small", { text: plain(column.address) })),
    el("td", { class: "says", text: columnState(column) }), ...column.links.map(linkCell),
    el("td", { class: "acts" }, gate(button({ testid: `order-${name}` }, () => askOrder(column), t("upkeep.order")), "POST /api/columns/{device_id}/order"),
      button({ class: "quiet", testid: `downtime-${name}` }, () => readDowntime(column.device_id), t("upkeep.downtime"))));
}

function columnsTable() {
  const names = found.columns[0]?.links.map((link) => link.name) ?? [];
  return el("section", { class: "card wide" }, el("h3", { text: t("upkeep.chain") }), el("div", { class: "table", tabindex: "0", role: "region", "aria-label": t("upkeep.chain") }, el("table", { class: "chain" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: t("statistics.column") }), el("th", { scope: "col", text: t("upkeep.state") }),
      ...names.map((name) => el("th", { scope: "col", class: "turned" }, el("span", { text: t(`link-name.${name}`) }))), el("th", { scope: "col" }))),
    el("tbody", {}, ...found.columns.map(columnRow)))));
}

function orderRow(order) {
  const overdue = order.until_ms !== null && order.until_ms < nowMs();
  const says = [order.maintenance ? t("upkeep.maintenance") : causeText(order.cause), plain(order.what)].join(": ");
  return el("tr", { testid: `work-order-${order.n}` }, el("td", { class: "number", text: String(order.n) }), el("th", { scope: "row", text: plain(order.device_id, 40) }),
    el("td", { text: says }), el("td", { text: plain(order.who, 80) || t("upkeep.nobody") }), el("td", { text: momentText(order.down_ms ?? order.opened_ms) }),
    el("td", { class: overdue ? "wrong" : "", text: momentText(order.until_ms) || "–" }),
    el("td", { class: "acts" }, gate(button({ testid: `assign-${order.n}` }, () => askAssign(order), t("upkeep.assign")), "POST /api/orders/{n}/assign"),
      gate(button({ class: "primary", testid: `finish-${order.n}` }, () => act(`/api/orders/${order.n}/finish`, {}), t("upkeep.finish")), "POST /api/orders/{n}/finish")));
}

function ordersTable() {
  const heads = ["number", "column", "what", "who", "since", "until"];
  const rows = found.orders.map(orderRow);
  const list = table({ role: "region", "aria-label": t("upkeep.orders") }, [...heads.map((name) => ({ text: t(`order.${name}`) })), {}], el("tbody", {}, ...rows));
  return el("section", { class: "card wide", testid: "upkeep-orders" }, el("h3", { text: t("upkeep.orders") }),
    rows.length ? list : el("p", { class: "none", text: t("upkeep.no-orders") }), el("p", { class: "none", text: t("upkeep.finish-note") }));
}

function monthName(back) {
  const at = new Date(nowMs());
  const first = new Date(at.getFullYear(), at.getMonth() - back, 1);
  return `${first.getFullYear()}-${String(first.getMonth() + 1).padStart(2, "0")}`;
}

function monthTable() {
  const names = Array.from({ length: MONTHS }, (_, back) => monthName(back));
  const chosen = month?.name ?? names[0];
  const choice = el("select", { testid: "upkeep-month", "aria-label": t("upkeep.month"), on: { change: (event) => readMonth(event.target.value) } },
    ...names.map((name) => el("option", { value: name, text: name, selected: name === chosen })));
  const causes = CAUSES.filter((cause) => month?.total?.[cause]);
  const span = (minutes) => (minutes ? spanText(minutes * MINUTE_MS) : "–");
  const row = (name, one) => el("tr", {}, el("th", { scope: "row", text: name }), el("td", { class: "number", text: one.availability === null ? "–" : `${decimal(Math.floor(one.availability * 10000) / 100, 2)} %` }),
    ...["presumed", "down", ...causes].map((key) => el("td", { class: "number", text: span(one[key]) })),
    el("td", { class: "number", text: t("upkeep.of", { n: one.lost, of: one.lost + one.heartbeats }) }), ...["dropped", "restarts"].map((key) => el("td", { class: "number", text: String(one[key]) })));
  const heads = [t("statistics.column"), t("life.proven"), t("life.presumed"), t("life.down"), ...causes.map(causeText), ...["lost", "dropped", "restarts"].map((key) => t(`upkeep.${key}`))];
  const repair = Object.entries(month?.repair ?? {}).map(([cause, one]) => el("li", { text: t("upkeep.repair", { cause: causeText(cause), time: spanText(one.mean_ms), n: one.n }) }));
  return el("section", { class: "card wide", testid: "upkeep-report" }, el("h3", { text: t("upkeep.month") }),
    el("p", { class: "files" }, choice, el("a", { class: "file", href: `/api/life.csv?month=${chosen}`, download: "", text: t("register.csv") })),
    month ? table({ role: "region", "aria-label": t("upkeep.month") }, heads.map((text) => ({ text })),
      el("tbody", {}, ...month.columns.map((one) => row(plain(one.device_id, 40), one)), row(t("upkeep.all"), month.total))) : "",
    el("p", { class: "none", text: t("upkeep.lost-note") }), el("ul", {}, ...repair),
    el("img", { class: "year", src: `/api/life.svg?year=${chosen.slice(0, 4)}&language=${current()}`, alt: t("upkeep.year", { year: chosen.slice(0, 4) }) }));
}

function downtimeRow(span) {
  const cause = el("select", { "aria-label": t("order.cause"), testid: `cause-${span.from_ms}` }, ...CAUSES.map((name) => el("option", { value: name, text: causeText(name), selected: name === span.cause })));
  const reason = el("input", { type: "text", maxlength: "1000", required: true, "aria-label": t("upkeep.reason"), placeholder: t("upkeep.reason"), testid: `reason-${span.from_ms}` });
  const save = (event) => {
    event.preventDefault();
    act(`/api/columns/${encodeURIComponent(span.device_id)}/correct`, { from_ms: span.from_ms, cause: cause.value, reason: reason.value }, () => readDowntime(span.device_id));
  };
  const times = `${stampText(span.from_ms)} – ${span.to_ms === null ? t("upkeep.still") : stampText(span.to_ms)}`;
  return el("li", {}, el("form", { class: "correction", on: { submit: save } }, el("span", { text: `${times} · ${causeText(span.cause)}${span.by ? ` · ${plain(span.by, 80)}: ${plain(span.why)}` : ""}` }), cause, reason,
    gate(el("button", { type: "submit", text: t("upkeep.correct"), testid: `correct-${span.from_ms}` }), "POST /api/columns/{device_id}/correct")));
}

function downtimeList() {
  if (!downtime) return "";
  const changed = downtime.corrections.map((one) => el("li", { text: t("upkeep.corrected", { time: stampText(one.at_ms), was: causeText(one.was), cause: causeText(one.cause),
    by: plain(one.by, 80) || t("upkeep.the-desk"), reason: one.by ? plain(one.reason) : "" }) }));
  return el("section", { class: "card wide", testid: "upkeep-downtime" }, el("h3", { text: t("upkeep.downtime-of", { column: plain(downtime.device_id, 40) }) }),
    downtime.down.length ? el("ul", { class: "findings" }, ...downtime.down.map(downtimeRow)) : el("p", { class: "none", text: t("statistics.nothing") }), el("ul", { class: "none" }, ...changed));
}

// -- what a person does

function field(name, node) {
  return el("label", {}, el("span", { text: t(`order.${name}`) }), node);
}

function untilChoice(testid) {
  return el("select", { testid }, el("option", { value: "", text: t("order.no-end") }), ...HOURS.map((n) => el("option", { value: n, text: t("order.hours", { n }) })));
}

const untilOf = (choice) => (choice.value ? nowMs() + Number(choice.value) * 3600000 : null);

function dialog(title, testid, fields, submit) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const box = el("dialog", { testid, "aria-label": title }, el("form", { class: "ask", on: { submit: async (event) => {
    event.preventDefault();
    if (await submit((text) => setText(wrong, text))) box.close();
  } } }, el("h2", { text: title }), ...fields, wrong,
    el("p", { class: "files" }, el("button", { type: "submit", class: "primary", text: t("upkeep.save"), testid: "ask-save" }), button({}, () => box.close(), t("close-dialog")))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

function askOrder(column) {
  const what = el("input", { type: "text", maxlength: "1000", required: true, testid: "ask-what" });
  const who = el("input", { type: "text", maxlength: "80", required: true, testid: "ask-who" });
  const cause = el("select", { testid: "ask-cause" }, ...CAUSES.map((name) => el("option", { value: name, text: causeText(name), selected: name === (column.cause || "unknown") })));
  const until = untilChoice("ask-until");
  const quiet = el("input", { type: "checkbox", testid: "ask-maintenance" });
  dialog(t("upkeep.order-for", { column: plain(column.device_id, 40) }), "ask-order",
    [field("what", what), field("who", who), field("cause", cause), field("until", until), el("label", { class: "check" }, quiet, " ", el("span", { text: t("order.maintenance") }))],
    (refuse) => send(`/api/columns/${encodeURIComponent(column.device_id)}/order`,
      { what: what.value, who: who.value, cause: cause.value, until_ms: untilOf(until), maintenance: quiet.checked }, refuse));
}

function askAssign(order) {
  const who = el("input", { type: "text", maxlength: "80", required: true, value: plain(order.who, 80), testid: "ask-who" });
  const until = untilChoice("ask-until");
  dialog(t("upkeep.assign"), "ask-assign", [field("who", who), field("until", until)],
    (refuse) => send(`/api/orders/${order.n}/assign`, { who: who.value, until_ms: untilOf(until) }, refuse));
}

async function send(path, body, refuse) {
  try {
    await post(path, body);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(refusalText(error));
    return false;
  }
  await read();
  return true;
}

const refuse = (text) => setText(host.querySelector(".wrong.doing"), text);
const ask = (take, isDeed) => asker((answer) => {
  take(answer);
  render(isDeed);
}, (error) => refuse(refusalText(error)));

async function act(path, body, then = read) {
  if (await send(path, body, refuse)) await then();
}

const askDowntime = ask((answer) => { downtime = answer; }, true);
const askMonth = ask((answer) => { month = answer; }, true);
const askAll = ask((answer) => { found = answer; }, false);

async function readDowntime(deviceId) {
  await askDowntime(async () => ({ device_id: deviceId, ...(await get(`/api/columns/${encodeURIComponent(deviceId)}/downtime`)) }));
  host.querySelector('[data-testid="upkeep-downtime"]')?.scrollIntoView();
}

const readMonth = (name) => askMonth(async () => ({ name, ...(await get(`/api/life?month=${name}`)) }));

async function read() {
  await askAll(() => get(`/api/upkeep?language=${current()}`));
  if (found && !month) await readMonth(monthName(0));
}

/** Draws everything anew; where somebody writes only if that came of what they did. */
export function render(isDeed = false) {
  if (!host) return;
  const focused = document.activeElement?.dataset?.testid;
  const wrong = el("p", { class: "wrong doing", role: "alert" });
  if (!found) return void host.replaceChildren(wrong);
  if (!isDeed && host.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
  host.replaceChildren(wrong, el("div", { class: "cards" }, refusedLine(), headline(), findings(), ordersTable(), columnsTable(), downtimeList(), monthTable()));
  if (focused) host.querySelector(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
}

export function mount(node) {
  host = node;
  render();
  on("view", (view) => { if (view === "upkeep") read(); });
  setInterval(() => { if (store.view === "upkeep" && store.server) read(); }, REFRESH_MS);
}
