// The desk's sounds: a two-tone ring as long as a call waits, a chime for everything else. Made here, no files.

const RATE = 22050;
const HUSH_MS = 60000;
const RING = [ // [from s, to s, Hz]: two high-low pairs, then a pause in which one can speak
  [0.0, 0.22, 988], [0.24, 0.46, 740], [0.55, 0.77, 988], [0.79, 1.01, 740],
];
const RING_S = 2.2;
const LOUDER = [ // nobody has accepted for too long: without a pause, and higher
  [0.0, 0.14, 988], [0.15, 0.29, 1319], [0.3, 0.44, 988], [0.45, 0.59, 1319],
];
const LOUDER_S = 0.6;
const CHIME = [[0.0, 0.16, 523], [0.18, 0.45, 392]];
const CHIME_S = 0.5;
const EDGE_S = 0.012;
const LOUD = 0.6;
const LOUDEST = 1;

let context = null;
let ring = null; // the looping source while it rings
let wanted = ""; // "": nothing waits; "call", or "louder"
let ringsAs = "";
let hushedUntil = 0;
let hushTimer = 0;
const listeners = [];

export const onSound = (listener) => listeners.push(listener);
const changed = () => { for (const listener of listeners) listener(); };

/** The page's one AudioContext. */
export function audio() {
  if (!context) {
    context = new AudioContext();
    context.onstatechange = changed;
  }
  return context;
}

/** How loud it is now, 0 to 1. */
export function rms(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.min(1, Math.sqrt(sum / samples.length) * Math.SQRT2);
}

function buffer(tones, lasts, loud) {
  const made = audio().createBuffer(1, Math.round(lasts * RATE), RATE);
  const samples = made.getChannelData(0);
  for (const [from, to, hz] of tones) {
    for (let i = Math.round(from * RATE); i < to * RATE; i++) {
      const at = i / RATE;
      const edge = Math.min(1, (at - from) / EDGE_S, (to - at) / EDGE_S);
      const wave = Math.sin(2 * Math.PI * hz * at) + 0.3 * Math.sin(6 * Math.PI * hz * at);
      samples[i] = loud * Math.max(0, edge) * wave / 1.3;
    }
  }
  return made;
}

function play(tones, lasts, loop, loud = LOUD) {
  const source = audio().createBufferSource();
  source.buffer = buffer(tones, lasts, loud);
  source.loop = loop;
  source.connect(audio().destination);
  source.start();
  return source;
}

const hushed = () => Date.now() < hushedUntil;

function apply() {
  const as = hushed() ? "" : wanted;
  if (ring && as !== ringsAs) {
    ring.stop();
    ring = null;
  }
  if (as && !ring) ring = as === "louder" ? play(LOUDER, LOUDER_S, true, LOUDEST) : play(RING, RING_S, true);
  ringsAs = as;
  changed();
}

/** Rings while a call waits: "call", "louder", or "" for none. The loop runs in the audio engine: a page in the background rings as well. */
export function setRinging(how) {
  if (wanted === how) return;
  wanted = how;
  if (!how) hushedUntil = 0;
  apply();
}

/** Once; not while the bell rings. */
export function chime() {
  if (!ring && audio().state === "running") play(CHIME, CHIME_S, false);
}

/** Quiet for a minute; whatever happens then anew ends the quiet. */
export function hush() {
  hushedUntil = Date.now() + HUSH_MS;
  clearTimeout(hushTimer);
  hushTimer = setTimeout(unhush, HUSH_MS);
  apply();
}

export function unhush() {
  hushedUntil = 0;
  clearTimeout(hushTimer);
  apply();
}

/** Browsers are silent until the person has touched the page: to be called from such a touch. */
export function wake() {
  if (audio().state !== "running") audio().resume().catch(() => {});
}

/** { state: "blocked" | "hushed" | "on", ringing, hushedForMs } */
export function status() {
  const state = audio().state !== "running" ? "blocked" : hushed() ? "hushed" : "on";
  return { state, ringing: ring !== null, louder: ringsAs === "louder", hushedForMs: Math.max(0, hushedUntil - Date.now()) };
}
