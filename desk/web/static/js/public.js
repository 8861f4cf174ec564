// What anybody may know: of all columns the share that is proven, of the one whose label was read whether it works.

import { Refused, get, query } from "./api.js";
import { plain, setAttribute, setText } from "./dom.js";
import { chooseLanguage, onLanguage, t } from "./i18n.js";
import { stampText } from "./time.js";
import { percent } from "./upkeep.js";

const id = (name) => document.getElementById(name);
const device = /^\/public\/([a-z0-9-]{1,32})$/.exec(location.pathname)?.[1] ?? null;
const key = new URLSearchParams(location.search).get("key") ?? "";

let column = null;
let share = null;
let state = ""; // of the column; "unknown": the desk does not tell

function render() {
  setText(id("public-name"), column ? plain(column.device_id, 40) : t("public.title"));
  setText(id("public-address"), plain(column?.address));
  id("public-state").hidden = !state;
  setAttribute(id("public-state"), "data-state", state || null);
  setText(id("public-state"), state ? t(`public.${state}`) : "");
  setText(id("public-proven"), column?.proven_ms ? t("public.proven", { time: stampText(column.proven_ms) }) : "");
  setText(id("public-share"), share ? t("public.share", { percent: percent(share.proven, share.total), total: share.total, time: stampText(share.at_ms) }) : "");
}

async function read() {
  share = await get("/public.json").catch(() => null);
  if (device === null) return;
  try {
    column = await get(`/public.json${query({ column: device, key })}`);
    state = column.state;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    state = "unknown";
  }
}

async function begin() {
  onLanguage(render);
  await chooseLanguage(id("public-language"));
  await read();
  render();
}

begin().catch((error) => { id("public-name").textContent = `${error.message} / 102`; });
