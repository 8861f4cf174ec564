// Picture and sound of a call: the video, its two buttons, and what goes on in words.

import { button, el, plain, setAttribute, setText } from "./dom.js";
import { has, t } from "./i18n.js";
import { Player } from "./player.js";
import { isOpen } from "./store.js";
import { refusalText } from "./words.js";

const key = (text) => el("kbd", { text, "aria-hidden": "true" });

const WAYS = ["webrtc", "rtsp"]; // that end in a browser
const NAMES = { webrtc: "WebRTC", rtsp: "RTSP" };

/** Why a way to the camera fails; a code of next year as it is. */
const reason = (code) => (has(`way-failed.${code}`) ? t(`way-failed.${code}`) : plain(code, 40));

const whyNot = (why) => (has(`way-failed.${why.code}`) ? reason(why.code) : refusalText(why));

/** Makes `parts.media` and gives { toggle, toggleTalk, stop, update }. */
export function media(incidentId, parts) {
  const video = el("video", { testid: "video", playsinline: true, "data-t-label": "media.label" });
  const words = el("p", { class: "media-state", testid: "media-state", role: "status" });
  const notes = el("p", { class: "media-notes", testid: "media-notes", role: "status" });
  const bar = el("span", { class: "level-bar" });
  const level = el("span", { class: "level", testid: "level", "data-level": "0", "aria-hidden": "true" }, bar);
  const play = button({ class: "do", testid: "play", "aria-keyshortcuts": "p" }, toggle, el("span"), key("P"));
  const mic = button({ class: "do mic", testid: "mic", "aria-keyshortcuts": "m", "aria-pressed": "false" }, toggleTalk, el("span"), key("M"));
  parts.media = el("section", { class: "media" }, el("div", { class: "screen" }, video, words),
    el("div", { class: "media-row" }, play, mic, level), notes);
  const player = new Player(video, draw, (loud) => {
    level.dataset.level = loud.toFixed(3);
    bar.style.width = `${Math.round(Math.min(1, loud * 2) * 100)}%`;
  });
  let open = true;
  let visible = false; // whether this call names a stream that a browser can show

  const failures = () => player.tried.map(({ way, code }) => `${NAMES[way] ?? plain(way, 40)}: ${reason(code)}`);

  function said() {
    if (!visible) return t("media.none");
    if (player.state === "failed") return t("media.failed", { why: failures().join("; ") || whyNot(player.why) });
    if (player.away) return t("media.away", { why: reason(player.away) });
    if (player.state === "playing") return player.stalled ? t("media.stalled") : "";
    return t(`media.${player.state}`);
  }

  /** What is not as one would think while there is a picture. */
  function noted() {
    if (player.state !== "playing" && player.state !== "connecting") return "";
    const found = failures();
    if (player.deaf) found.push(t("media.deaf"));
    if (player.converted) found.push(t("media.converted"));
    return found.join(". ");
  }

  function draw() {
    const running = player.state === "connecting" || player.state === "playing";
    setText(words, said());
    words.classList.toggle("over", player.state === "playing");
    setText(notes, noted());
    setAttribute(parts.media, "data-state", player.state);
    setText(play.firstChild, running ? t("media.stop") : t("media.play"));
    play.disabled = !visible;
    const refused = player.refusal ? t(`mic.${player.refusal}`) : "";
    setText(mic.firstChild, !open ? t("mic.closed") : refused || (player.live ? t("mic.live") : t("mic.talk")));
    mic.disabled = !visible || !open;
    setAttribute(mic, "aria-pressed", String(player.live));
    mic.classList.toggle("live", player.live);
  }

  function toggle() {
    if (!visible) return;
    if (player.state === "connecting" || player.state === "playing") player.stop();
    else player.start(incidentId);
  }

  async function toggleTalk() {
    if (!visible || !open) return; // nobody is at the other end of a call that is over
    if (player.state !== "playing" && player.state !== "connecting") player.start(incidentId);
    await player.talk(!player.live);
  }

  function update(incident) {
    visible = WAYS.some((way) => incident.stream?.[way]);
    if (open && !isOpen(incident)) player.stop(); // nobody listens in on a place whose call is over
    open = isOpen(incident);
    draw();
  }
  return { toggle, toggleTalk, update, stop: () => player.stop() };
}
