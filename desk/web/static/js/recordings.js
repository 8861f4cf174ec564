// What was recorded of a call: played here, with the time and the hash of each file, and kept longer where it is held.

import { Refused, asker, get, incidentPath, post } from "./api.js";
import { button, el, keyed, plain, setText } from "./dom.js";
import { has, t } from "./i18n.js";
import { reasonForm } from "./reason.js";
import { gate } from "./rights.js";
import { isOpen, store } from "./store.js";
import { spanText, stampText } from "./time.js";
import { refusalText, term } from "./words.js";

const SHOWN_OF_HASH = 16;
const VOICE = ".m4a"; // a conversation without a picture

let wanted = null; // the call whose recording is to be played as soon as it is there

/** To be played when that call's panel is there. */
export const playSoon = (incidentId) => { wanted = incidentId; };

/** Makes `parts.recordings` and gives { update, stop }. */
export function recordings(incidentId, parts) {
  const video = el("video", { testid: "recording-video", controls: true, playsinline: true, hidden: true, "data-t-label": "recording.title" });
  const said = el("p", { class: "none", testid: "recording-said", role: "status" });
  const list = el("ul", { class: "recordings", testid: "recordings" });
  const hold = button({ class: "quiet", testid: "recording-hold" }, toggleHold);
  const why = reasonForm("recording-why", hold);
  const mayNot = el("p", { class: "none", testid: "recording-may-not" });
  parts.recordings = el("section", { class: "part", hidden: true }, el("h3", { "data-t": "recording.title", text: t("recording.title") }),
    said, list, video, hold, mayNot, why.node);
  let [found, before, wrong] = [null, "", ""];

  function saidOf(incident) {
    if (wrong) return wrong;
    if (found?.hold) return t("recording.held", { by: plain(found.hold.by, 64), why: plain(found.hold.why, 200) });
    const code = found?.code ?? null;
    if (!isOpen(incident) || code === null) return "";
    if (code === "") return incident.stream?.sip || found.spoken ? `${t("recording.runs")} ${t("recording.yours")}` : t("recording.runs");
    return t(found.spoken ? "recording.spoken" : "recording.not", { why: has(`recording-failed.${code}`) ? t(`recording-failed.${code}`)
      : term("way-failed", code) });
  }

  function draw(incident) {
    const files = found?.files ?? [];
    parts.recordings.hidden = !files.length && (found?.code ?? null) === null;
    setText(said, saidOf(incident));
    keyed(list, files, (one) => String(one.n), (one) => el("li", {}, button({ class: "do", testid: "recording-play" }, () => play(one)),
      el("small")), (row, one) => {
      setText(row.firstChild, t(one.file.endsWith(VOICE) ? "recording.voice" : "recording.file", { time: stampText(one.from_ms), span: spanText(one.to_ms - one.from_ms) }));
      row.firstChild.disabled = one.deleted_ms !== null;
      setText(row.lastChild, one.deleted_ms !== null ? t("recording.deleted", { time: stampText(one.deleted_ms) })
        : `SHA-256 ${plain(one.sha256, 64).slice(0, SHOWN_OF_HASH)}…`);
      row.lastChild.title = plain(one.sha256, 64);
    });
    hold.hidden = !files.some((one) => one.deleted_ms === null);
    gate(hold, `POST /api/incidents/{incident_id}/hold${found?.hold ? " release" : ""}`);
    setText(mayNot, hold.hidden ? "" : hold.title);
    setText(hold, t(found?.hold ? "recording.release" : "recording.hold"));
  }

  function play(file) {
    video.hidden = false;
    video.src = `/api/recordings/${file.n}`;
    video.play().catch(() => {});
  }

  function toggleHold() {
    const next = !found?.hold;
    why.ask(async (text) => {
      wrong = "";
      try {
        await post(incidentPath(incidentId, "/hold"), { hold: next, why: text });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        wrong = refusalText(error);
      }
      read();
    }, t("recording.why"), t(next ? "recording.hold" : "recording.release"));
  }

  const ask = asker((answer) => {
    found = answer;
    show();
  }, show);
  const read = () => ask(() => get(incidentPath(incidentId, "/recordings")));

  function show() {
    draw(store.incidents.get(incidentId) ?? {});
    const first = found?.files?.find((one) => one.deleted_ms === null);
    if (wanted === incidentId && first) {
      wanted = null;
      play(first);
      video.scrollIntoView({ block: "nearest" });
    }
  }

  /** Reads the list when something of the call has changed, or in a running call now and then. */
  function update(incident) {
    const now = `${incident.state} ${incident.recorded ?? 0} ${isOpen(incident) ? Math.floor(performance.now() / 5000) : ""} ${wanted}`;
    if (now !== before) {
      before = now;
      read();
    } else draw(incident);
  }

  function stop() {
    video.removeAttribute("src");
    video.load();
  }
  return { update, stop };
}
