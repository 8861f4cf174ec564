// The live feed: a WebSocket that tells what changed; after each connect everything is read anew.

import { get, incidentPath } from "./api.js";
import { unpressed } from "./dom.js";
import { putColumn, putIncident, resyncColumns, resyncIncidents, store, tell } from "./store.js";
import { nowMs, setServerTime } from "./time.js";

const RETRY_FIRST_MS = 300;
const RETRY_MAX_MS = 4000;
const SILENT_MS = 12000; // the server speaks every 5 s
const OPEN_MAX = 200;

let socket = null;
let retryMs = RETRY_FIRST_MS;
let heardAt = 0;
let during = null; // messages that come while everything is read: they are newer than what is read
let wanted = false;
let watch = 0;
let askWho = async () => {};

const HERE_EVERY_MS = 10000;
let hereAt = -HERE_EVERY_MS;

/** A person did something: the desk is told, now and then. */
export function here() {
  if (performance.now() - hereAt < HERE_EVERY_MS && !store.nobody) return;
  if (socket?.readyState !== WebSocket.OPEN) return;
  hereAt = performance.now();
  socket.send("here");
}

/** `said`: what the server says of itself; nothing when it is lost. */
function setDesk(server, said = {}) {
  const broker = Boolean(said.broker);
  store.why = typeof said.why === "string" ? said.why : "";
  store.nobody = typeof said.nobody === "string" ? said.nobody : "";
  store.recording = typeof said.recording === "string" ? said.recording : "";
  store.flooding = Array.isArray(said.flooding) ? said.flooding : [];
  if (server && broker) store.lostMs = null;
  else if (store.lostMs === null || server !== store.server) store.lostMs = nowMs(); // of what is missing now
  [store.server, store.broker] = [server, broker];
  tell("desk");
}

function take(message) {
  if (message?.kind === "incident") putIncident(message.incident);
  else if (message?.kind === "column") putColumn(message.column);
  else if (message?.kind === "desk") {
    setServerTime(message.now_ms);
    if (store.server) setDesk(true, message);
  }
}

/** Reads everything for the connection `mine`; what comes when there is another one is out of date. */
async function resync(mine) {
  during = [];
  const [config, columns, open, exercises] = await Promise.all([
    get("/api/config"), get("/api/columns"), get(`/api/incidents?state=open&status=actual&limit=${OPEN_MAX}`),
    get(`/api/incidents?state=open&status=exercise&limit=${OPEN_MAX}`),
  ]);
  if (mine !== socket) return;
  store.config = config;
  setServerTime(config.now_ms);
  resyncColumns(columns);
  const vanished = resyncIncidents([...open, ...exercises]);
  for (const message of during) take(message);
  during = null;
  setDesk(true, config);
  for (const id of vanished) get(incidentPath(id)).then(putIncident, () => {});
}

function connect() {
  const address = new URL("/api/feed", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(address);
  socket = mine;
  heardAt = performance.now();
  mine.onopen = () => {
    heardAt = performance.now();
    resync(mine).then(() => { retryMs = RETRY_FIRST_MS; }, () => mine.close());
  };
  mine.onmessage = (event) => {
    heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(event.data);
    } catch {
      return;
    }
    unpressed(() => {
      take(message);
      during?.push(message);
    });
  };
  mine.onclose = () => lost(mine);
}

function lost(mine) {
  if (socket !== mine) return;
  socket = null;
  unpressed(() => setDesk(false));
  if (!wanted) return;
  setTimeout(async () => {
    await askWho().catch(() => {}); // a feed that is refused does not say why: perhaps the session is over
    if (wanted && !socket) connect();
  }, retryMs * (0.75 + Math.random() / 2));
  retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
}

/** Keeps the page up to date from now on. `who()` is asked before each new attempt whether we are still known. */
export function start(who) {
  askWho = who;
  if (wanted) return;
  wanted = true;
  connect();
  watch ||= setInterval(() => {
    if (!socket || performance.now() - heardAt < SILENT_MS) return;
    const dead = socket; // a half-open connection: its close may take minutes
    dead.close();
    lost(dead);
  }, 1000);
}

/** Stops until `start`. */
export function stop() {
  wanted = false;
  socket?.close();
}
