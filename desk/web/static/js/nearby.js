// The city's cameras that are nearest to a call: each one key away, beside the column's own picture.

import { get, incidentPath } from "./api.js";
import { button, el, keyed, plain, setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";
import { Player } from "./player.js";
import { reasonForm } from "./reason.js";
import { gate, mayNot } from "./rights.js";
import { isActual, isOpen, store } from "./store.js";
import { whyNot } from "./words.js";

const LOOK = "POST /api/incidents/{incident_id}/cameras/{camera}/whep";
const KEYS = ["7", "8", "9"];

/** Makes `parts.nearby` and gives { toggle, stop, update }. */
export function nearby(incidentId, parts) {
  const video = el("video", { testid: "camera-video", playsinline: true, "data-t-label": "cameras.picture" });
  video.muted = true;
  const words = el("p", { class: "media-state", testid: "camera-state", role: "status" });
  const screen = el("div", { class: "screen", hidden: true }, video, words);
  const list = el("div", { class: "cameras", testid: "cameras" });
  const reason = reasonForm("camera-reason", list);
  parts.nearby = el("section", { class: "part", hidden: true }, el("h3", { "data-t": "cameras.title", text: t("cameras.title") }), list, reason.node, screen);
  const player = new Player(video, draw, () => {}, () => {}, false);
  let [cameras, shown, incident, asked] = [[], null, null, false];

  function said() {
    if (player.state === "failed") return t("media.failed", { why: whyNot(player.why ?? {}) });
    if (player.away) return t("media.away", { why: whyNot({ code: player.away }) });
    if (player.state === "playing") return player.stalled ? t("media.stalled") : "";
    return t(`media.${player.state}`);
  }

  function draw() {
    parts.nearby.hidden = !cameras.length;
    screen.hidden = shown === null;
    setAttribute(screen, "data-state", player.state);
    setText(words, said());
    words.classList.toggle("over", player.state === "playing");
    keyed(list, cameras, (one) => one.id, (one) => button({ class: "do", testid: "camera", "data-id": one.id },
      () => toggle(cameras.findIndex((other) => other.id === one.id)), el("span"), el("kbd", { "aria-hidden": "true" })), (node, one) => {
      const index = cameras.indexOf(one);
      setText(node.firstChild, t("cameras.one", { name: plain(one.name, 80), n: one.distance_m }));
      setText(node.lastChild, KEYS[index]);
      setAttribute(node, "aria-keyshortcuts", KEYS[index]);
      setAttribute(node, "aria-pressed", String(one.id === shown && player.running));
      gate(node, LOOK);
    });
  }

  function stop() {
    player.stop();
    reason.hide();
    shown = null;
    draw();
  }

  /** Shows the camera of that number, or ends it. Gives why not, else "". */
  function toggle(index) {
    const camera = cameras[index];
    const why = camera ? mayNot(LOOK) : t("key.no-camera");
    if (why) return why;
    if (camera.id === shown && player.running) {
      stop();
      return "";
    }
    const begin = (given) => {
      shown = camera.id;
      player.start(incidentPath(incidentId, `/cameras/${encodeURIComponent(camera.id)}/whep`), given);
    };
    if (isOpen(incident) && isActual(incident)) begin("");
    else reason.ask(begin);
    return "";
  }

  async function read() {
    cameras = await get(incidentPath(incidentId, "/cameras")).catch(() => []);
    if (!Array.isArray(cameras)) cameras = [];
    draw();
  }

  function update(next) {
    if (incident && isOpen(incident) && !isOpen(next)) stop(); // with the call
    incident = next;
    if (!asked && store.config.cameras) {
      asked = true;
      read();
    }
    draw();
  }
  return { toggle, stop, update };
}
