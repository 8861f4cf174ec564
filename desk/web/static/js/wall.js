// A screen on the wall: the share of columns that are proven end to end, and every column that is not as it should be.

import { Refused, get } from "./api.js";
import { el, keyed, plain, setAttribute, setText } from "./dom.js";
import { chooseLanguage, onLanguage, t } from "./i18n.js";
import { clockText, momentText, nowMs, setServerTime } from "./time.js";
import { columnState, linkStateText, percent } from "./upkeep.js";

const REFRESH_MS = 10000;
const RANK = { down: 0, maintenance: 1, presumed: 2, proven: 3 };

let found = null;
let lostMs = null;

const id = (name) => document.getElementById(name);
const kind = (column) => (column.maintenance ? "maintenance" : column.state === "down" ? "down" : column.proven ? "proven" : "presumed");

/** Which links of a column are not proven, in words. */
function missing(column) {
  const lacking = column.links.filter((link) => link.state !== "proven" && link.state !== "absent");
  return lacking.map((link) => `${t(`link-name.${link.name}`)}: ${linkStateText(link)}`).join(" · ");
}

function create() {
  return el("li", {}, el("span", { class: "wall-mark", "aria-hidden": "true" }), el("b"), el("span", { class: "wall-state" }), el("small"));
}

function update(row, column) {
  const now = kind(column);
  setAttribute(row, "data-kind", now);
  setText(row.querySelector("b"), plain(column.device_id, 40));
  setText(row.querySelector(".wall-state"), now === "proven" || now === "presumed" ? t(`wall.${now}`) : columnState(column));
  setText(row.querySelector("small"), now === "presumed" ? missing(column) : plain(column.address));
}

function render() {
  setText(id("wall-clock"), clockText(nowMs()));
  id("wall-lost").hidden = lostMs === null;
  if (lostMs !== null) setText(id("wall-lost"), t("wall.lost", { time: momentText(lostMs) }));
  document.body.dataset.lost = String(lostMs !== null);
  if (!found) return;
  const { share } = found;
  setText(id("wall-percent"), percent(share.proven, share.total));
  setText(id("wall-says"), t("upkeep.share", { n: share.proven, total: share.total }));
  setText(id("wall-call"), [t("upkeep.call-share", { n: share.call_proven, total: share.total }),
    found.findings.length ? t("upkeep.findings", { n: found.findings.length }) : ""].filter(Boolean).join(" · "));
  const sorted = [...found.columns].sort((a, b) => RANK[kind(a)] - RANK[kind(b)] || (a.device_id < b.device_id ? -1 : 1));
  keyed(id("wall-columns"), sorted, (one) => one.device_id, create, update);
}

async function read() {
  try {
    found = await get("/api/upkeep");
    setServerTime(found.now_ms);
    lostMs = null;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    lostMs ??= nowMs();
  }
  render();
}

async function begin() {
  onLanguage(render);
  await chooseLanguage(id("wall-language"));
  setInterval(render, 1000);
  setInterval(read, REFRESH_MS);
  await read();
}

begin().catch((error) => { document.body.textContent = `${error.message} / Reload the page. / Обновите страницу. / Бетті жаңартыңыз.`; });
