// Picture and sound of a call: the video, its two buttons, and what goes on in words.

import { incidentPath } from "./api.js";
import { button, el, setAttribute, setText } from "./dom.js";
import { has, t } from "./i18n.js";
import { Player } from "./player.js";
import { reasonForm } from "./reason.js";
import { gate, may, mayNot } from "./rights.js";
import { isActual, isOpen } from "./store.js";
import { term, whyNot } from "./words.js";

const key = (text) => el("kbd", { text, "aria-hidden": "true" });

const LOOK = "POST /api/incidents/{incident_id}/whep";
const WAYS = ["webrtc", "rtsp", "sip"]; // that end in a browser
const NAMES = { webrtc: "WebRTC", rtsp: "RTSP", sip: "SIP" };

/** Why a way (to the camera, unless it has words of its own) fails; a code of next year as it is. */
const reason = (code, way = "") => term(has(`${way}-failed.${code}`) ? `${way}-failed` : "way-failed", code);

/** Why the desk does not speak with the intercom. */
const voiceReason = (code) => term("voice-failed", code);

/** A bar that shows how loud somebody is: [what is seen, the function that moves it]. */
function meter(who, testid) {
  const bar = el("span", { class: "level-bar" });
  const level = el("span", { class: "level", testid, "data-level": "0", "aria-hidden": "true" }, bar);
  const shown = el("span", { class: "level-row" }, el("small", { "data-t": `level.${who}`, text: t(`level.${who}`) }), level);
  return [shown, (loud) => {
    level.dataset.level = loud.toFixed(3);
    bar.style.width = `${Math.round(Math.min(1, loud * 2) * 100)}%`;
  }];
}

/** `start` when it is pressed, `end` when it is let go of, in whatever way. */
function held(node, start, end) {
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    node.setPointerCapture(event.pointerId);
    start();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) node.addEventListener(name, end);
  node.addEventListener("keydown", (event) => {
    if (![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (!event.repeat) start();
  });
  node.addEventListener("keyup", (event) => { if ([" ", "Enter"].includes(event.key)) end(); });
  node.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
}

/** Makes `parts.media` and gives { toggle, toggleTalk, hold, amplify, stop, update }. */
export function media(incidentId, parts) {
  const video = el("video", { testid: "video", playsinline: true, "data-t-label": "media.label" });
  const words = el("p", { class: "media-state", testid: "media-state", role: "status" });
  const notes = el("p", { class: "media-notes", testid: "media-notes", role: "status" });
  const [place, showPlace] = meter("place", "level");
  const [own, showOwn] = meter("own", "own-level");
  const play = button({ class: "do", testid: "play", "aria-keyshortcuts": "p" }, toggle, el("span"), key("P"));
  const mic = button({ class: "do mic", testid: "mic", "aria-keyshortcuts": "m", "aria-pressed": "false" }, toggleTalk, el("span"), key("M"));
  const holder = button({ class: "do mic", testid: "hold", "aria-keyshortcuts": "t", "aria-pressed": "false" }, () => {}, el("span"), key("T"));
  held(holder, () => hold(true), () => hold(false));
  const quieter = button({ class: "quiet", testid: "quieter", "aria-keyshortcuts": "-" }, () => player.amplify(-1), el("span"), key("-"));
  const louder = button({ class: "quiet", testid: "louder", "aria-keyshortcuts": "=" }, () => player.amplify(1), el("span"), key("="));
  const loudness = el("span", { class: "loudness", testid: "loudness", role: "status" });
  const why = reasonForm("reason", play);
  parts.media = el("section", { class: "media" }, el("div", { class: "screen" }, video, words),
    el("div", { class: "media-row" }, play, mic, holder, quieter, louder, loudness, place, own), why.node, notes);
  const player = new Player(video, draw, showPlace, showOwn);
  let open = true;
  let isCall = true; // somebody asks for help there: else a look needs a reason
  let visible = false; // whether this call names a stream that a browser can show

  const failures = () => player.tried.map(({ way, code }) => `${NAMES[way] ?? term("way", way)}: ${reason(code, way)}`);

  function said() {
    if (!visible) return t("media.none");
    if (mayNot(LOOK)) return mayNot(LOOK);
    if (player.state === "failed") return t("media.failed", { why: failures().join("; ") || whyNot(player.why) });
    if (player.away) return t("media.away", { why: reason(player.away) });
    if (player.state === "playing" && !player.pictured) return t("media.only-sound");
    if (player.state === "playing") return player.stalled ? t("media.stalled") : "";
    return t(`media.${player.state}`);
  }

  /** What is not as one would think while there is a picture. */
  function noted() {
    if (!player.running) return "";
    const found = failures();
    if (player.deaf) found.push(t("media.deaf"));
    const voice = player.voice;
    if (voice && voice.state !== "talking") found.push(t(`voice.${voice.state}`, { why: voiceReason(voice.code) }));
    if (player.converted) found.push(t("media.converted"));
    return found.join(". ");
  }

  function draw() {
    setText(words, said());
    words.classList.toggle("over", player.state === "playing");
    setText(notes, noted());
    setAttribute(parts.media, "data-state", player.state);
    setText(play.firstChild, player.running ? t("media.stop") : t("media.play"));
    gate(play, LOOK, !visible);
    const refused = player.refusal ? t(`mic.${player.refusal}`) : "";
    const talking = t(player.heard ? "mic.live" : "mic.waits"); // an open microphone that nobody hears yet
    setText(mic.firstChild, !open ? t("mic.closed") : refused || (player.live && !player.held ? talking : t("mic.talk")));
    setText(holder.firstChild, player.held && player.live ? talking : t("mic.hold"));
    for (const [node, on] of [[mic, player.live && !player.held], [holder, player.live && player.held]]) {
      gate(node, LOOK, !visible || !open);
      setAttribute(node, "aria-pressed", String(on));
      node.classList.toggle("live", on && player.heard);
    }
    for (const [node, steps, name] of [[quieter, -1, "quieter"], [louder, 1, "louder"]]) {
      setText(node.firstChild, t(`mic.${name}`));
      node.hidden = !visible || !open || !may(LOOK);
      node.disabled = !player.canAmplify(steps);
    }
    loudness.hidden = louder.hidden || !player.loudness;
    setText(loudness, t("mic.loudness", { db: `${player.loudness > 0 ? "+" : ""}${player.loudness}` }));
  }

  /** Why nobody can look here, or (`talking`) speak; "": they can. */
  function refused(talking) {
    if (!visible) return t("media.none");
    return mayNot(LOOK) || (talking && !open ? t("mic.closed") : "");
  }

  /** Talk for as long as it is held. Gives why not, else "". */
  function hold(on) {
    const why = on && (refused(true) || (player.live ? t("key.talks") : ""));
    if (why) return why;
    if (!on || begun()) player.hold(on);
    return "";
  }

  function begin() {
    const path = incidentPath(incidentId, "/whep");
    if (isCall) player.start(path);
    else why.ask((reason) => player.start(path, reason));
  }

  /** Begins unless it has begun. False where a reason is asked for first. */
  function begun() {
    if (!player.running) begin();
    return player.running;
  }

  function toggle() {
    const why = refused(false);
    if (why) return why;
    if (player.running) player.stop();
    else begin();
    return "";
  }

  function toggleTalk() {
    const why = refused(true); // nobody is at the other end of a call that is over
    if (!why && begun()) player.talk(!player.live);
    return why;
  }

  function update(incident) {
    visible = WAYS.some((way) => incident.stream?.[way]);
    if (open && !isOpen(incident)) player.stop(); // nobody listens in on a place whose call is over
    open = isOpen(incident);
    isCall = open && isActual(incident);
    if (isCall) why.hide();
    draw();
  }
  /** So many steps louder there, or quieter. Gives why not, else "". */
  function amplify(steps) {
    const why = refused(true) || (player.canAmplify(steps) ? "" : t(player.state === "playing" ? "key.as-loud" : "key.no-picture"));
    if (!why) player.amplify(steps);
    return why;
  }
  return { toggle, toggleTalk, hold, amplify, update, stop: () => player.stop() };
}
