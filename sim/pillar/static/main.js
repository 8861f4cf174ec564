// The page of one pillar: shows what the feed tells, sends what the visitor does.

import { connect } from "./feed.js";
import { stand } from "./intercom.js";
import { watch } from "./picture.js";
import { touchable } from "./touch.js";
import { NAMES, apply, current, t, use } from "./words.js";

const GROUND_Y = 700;
const PX_PER_M = 250;
const DRAWN_M = [0.7, 1.5]; // a button below or above is drawn at the limit; its height is told in words
const LINES_MAX = 200;
const SPEAKS = 0.2;

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

let about = { device_id: "", address: "", height_m: 1, pitch_hz: 0 };
let state = { lamp: "dark", listened: false, relay: false, open: false, heard: 0, held: false, watchers: 0, boot: 0 };
const lines = [];

function showAbout() {
  document.title = `SOS ${about.device_id}`;
  $("device").textContent = about.device_id;
  $("address").textContent = about.address;
  const height = Math.min(DRAWN_M[1], Math.max(DRAWN_M[0], about.height_m));
  const y = GROUND_Y - height * PX_PER_M;
  $("button").setAttribute("transform", `translate(250 ${y})`);
  $("lamp").querySelector(".ring").setAttribute("cy", y);
  $("grille").setAttribute("transform", `translate(250 ${y - 98})`);
  $("hint").textContent = t("hint", { height: new Intl.NumberFormat(current()).format(about.height_m) });
}

function showState() {
  $("lamp").dataset.state = state.lamp;
  $("lamp").setAttribute("aria-label", t(`lamp-${state.lamp}`));
  $("swatch").dataset.state = state.lamp;
  $("lamp").dataset.listened = $("swatch").dataset.listened = state.listened;
  $("sign").hidden = !state.listened;
  say($("sentence"), t(`lamp-${state.lamp}`));
  $("relay").dataset.closed = state.relay;
  const speaking = state.open && state.heard > SPEAKS;
  say($("call"), t(speaking ? "speaking" : state.open ? "calling" : "silent"));
  $("call").dataset.open = state.open;
  $("watchers").textContent = t(state.watchers ? "watched" : "unwatched", { n: state.watchers });
  $("heard").value = state.heard;
  $("heard").dataset.level = state.heard;
  for (const [number, wave] of $("grille").querySelectorAll("path").entries()) {
    wave.setAttribute("opacity", "1");
    wave.style.opacity = state.heard > (number + 1) * SPEAKS ? 1 : 0;
  }
  $("button").setAttribute("aria-pressed", state.held);
  for (const key of document.querySelectorAll("[role=switch][data-do]")) key.setAttribute("aria-checked", state[key.dataset.do]);
  const relay = t(state.relay ? "closed" : "open");
  $("technical").textContent = t("technical", { lamp: state.lamp, relay, boot: state.boot, pitch: about.pitch_hz });
}

/** What has not changed is not read out again. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function log(line) {
  const box = $("console");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  lines.push(line);
  lines.splice(0, lines.length - LINES_MAX);
  box.textContent = lines.join("\n");
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function drawGrille() {
  for (let y = -14; y <= 14; y += 14) {
    for (let x = -36; x <= 36; x += 12) {
      const hole = document.createElementNS(SVG, "circle");
      for (const [name, value] of Object.entries({ cx: x, cy: y, r: 4 })) hole.setAttribute(name, value);
      $("grille").append(hole);
    }
  }
  for (const x of [78, 92, 106]) {
    const wave = document.createElementNS(SVG, "path");
    const bow = x / 3;
    wave.setAttribute("d", `M${x} ${-bow}q${bow / 2} ${bow} 0 ${2 * bow}M${-x} ${-bow}q${-bow / 2} ${bow} 0 ${2 * bow}`);
    $("grille").append(wave);
  }
}

function speak(language) {
  use(language);
  apply(document);
  showStanding();
  showAbout();
  showState();
}

function openHatch() {
  const open = $("inside").hidden;
  $("inside").hidden = !open;
  $("hatch").setAttribute("aria-expanded", open);
  if (open) $("inside").scrollIntoView({ block: "nearest" });
}

let standing = null; // the connection to the intercom, of somebody who stands at the pillar
let how = ""; // what is to be said about it

function showStanding() {
  $("person").setAttribute("aria-checked", standing !== null);
  say($("standing"), how && t(how));
}

async function toggleStanding() {
  if (standing) {
    standing.end();
    standing = null;
    return showStanding();
  }
  $("person").disabled = true;
  how = "";
  try {
    standing = await stand(() => { standing = null; how = ""; showStanding(); });
    how = standing.speaks ? "" : "listening";
  } catch (error) {
    console.warn(error);
    how = "alone";
  }
  $("person").disabled = false;
  showStanding();
}

drawGrille();
for (const [code, name] of Object.entries(NAMES)) $("language").append(new Option(name, code));
$("language").value = current();
$("language").addEventListener("change", () => speak($("language").value));
speak(current());

const send = connect({
  connected(up) {
    $("lost").hidden = up;
  },
  message(message) {
    if (message.about) { about = message.about; lines.length = 0; showAbout(); }
    if (message.state) { state = message.state; showState(); }
    if (message.log !== undefined) log(message.log);
  },
});
touchable($("button"), (held) => send({ do: held ? "hold" : "release" }));
$("hatch").addEventListener("click", openHatch);
$("hatch").addEventListener("keydown", (event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  openHatch();
});
for (const key of document.querySelectorAll("[data-do]")) {
  const what = key.dataset.do;
  key.addEventListener("click", () => send(what === "reset" ? { do: what } : { do: what, on: !state[what] }));
}
$("person").addEventListener("click", toggleStanding);
watch($("picture"));
