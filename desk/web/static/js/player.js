// Sees and hears the place: WebRTC by WHEP, through the desk's server, which knows where this call's stream is.

import { Copy } from "./copy.js";
import { gathered } from "./gathering.js";
import { Microphone } from "./microphone.js";
import { audio, rms } from "./sound.js";
import { Refused, get, post, send } from "./api.js";

const LEVEL_EVERY_MS = 100;
const LOOK_EVERY_MS = 500;
const ASK_EVERY_MS = 1000;
const ANSWER_MS = 30000; // all ways to the camera, one after the other
const STEP_DB = 6; // of the loudness, up to:
const MOST_DB = 12;
const STALLED_MS = 2000; // without a new picture: what is seen is the past

export class Player {
  #video; #changed; #peer = null; #resource = null; #microphone; #sender = null; #meter = null; #timer = 0; #look = 0; #ask = 0;
  #copy = new Copy(); #place = null; // of the voices, where a desk that records wants one; the place's track
  #copying = false;
  #holds = false; // whether somebody talks by holding
  #chosen = 0; // counts what was chosen of the loudness, and what was told of it
  #wanted = 0; // counts what was asked of the microphone: only the latest counts

  /** `changed()` is called whenever something below differs; `level(0..1)` hears how loud the place is, `ownLevel` how
   * loud what is said to it. `sound`: false for a picture alone. */
  constructor(video, changed, level, ownLevel, sound = true) {
    this.#microphone = new Microphone(ownLevel);
    this.#video = video;
    this.sound = sound;
    this.#changed = changed;
    this.level = level;
    this.path = null;
    this.state = "idle"; // idle, connecting, playing, failed, ended
    this.why = null; // of "failed": a Refused, or a code of `way-failed.*`
    this.stalled = false; // whether the picture stands still
    this.live = false; // whether the microphone is open
    this.held = false; // ... as long as a key is held
    this.loudness = 0; // how loud we are wanted there, dB
    this.voice = null; // of the intercom that the desk calls: { state, code }
    this.pictured = true; // whether there is a way to a picture
    this.refusal = ""; // why there is no microphone: "insecure", "denied", "deaf"
    this.deaf = false; // whether the place has no way to hear us
    this.tried = []; // ways that failed: [{ way, code }]
    this.away = ""; // why the desk gets nothing from the camera now: a code
    this.converted = false; // whether the desk has to convert the picture
    video.addEventListener("playing", () => { if (this.#peer) this.#set("playing"); });
  }

  /** Whether there is a picture or sound, or will be. */
  get running() {
    return this.state === "connecting" || this.state === "playing";
  }

  /** Whether the place hears us now. */
  get heard() {
    return this.live && this.state === "playing" && (this.voice === null || this.voice.state === "talking");
  }

  #set(state, why = null) {
    this.state = state;
    this.why = why;
    this.#changed();
  }

  /** A picture that stands still must not pass for the present. */
  #watch() {
    let [frames, since] = [-1, performance.now()];
    clearInterval(this.#look);
    this.#look = setInterval(() => {
      const now = this.#video.getVideoPlaybackQuality().totalVideoFrames;
      if (now !== frames || document.hidden) [frames, since] = [now, performance.now()];
      const stalled = this.pictured && this.state === "playing" && performance.now() - since > STALLED_MS;
      if (stalled === this.stalled) return;
      this.stalled = stalled;
      this.#changed();
    }, LOOK_EVERY_MS);
  }

  /** To be called from a click: browsers play sound only then. `path`: where the desk takes the offer. `reason`: why
   * somebody looks outside a call. */
  async start(path, reason = "") {
    this.stop();
    this.path = path;
    this.tried = [];
    this.#set("connecting");
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    this.#watch();
    const stream = new MediaStream();
    peer.ontrack = (event) => this.#track(peer, stream, event.track);
    peer.onconnectionstatechange = () => this.#moved(peer);
    peer.addTransceiver("video", { direction: "recvonly" });
    const sound = this.sound ? peer.addTransceiver("audio", { direction: "sendrecv" }) : null; // a microphone may come later
    this.#sender = sound?.sender ?? null;
    try {
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const headers = reason ? { Reason: encodeURIComponent(reason) } : {};
      const answer = await send("POST", path, peer.localDescription.sdp, "application/sdp", ANSWER_MS, headers);
      const sdp = await answer.text();
      const resource = ownPath(answer.headers.get("Location"));
      if (peer !== this.#peer) return end(resource); // stopped meanwhile
      this.#resource = resource;
      this.tried = tried(answer.headers);
      await peer.setRemoteDescription({ type: "answer", sdp });
      if (peer !== this.#peer) return;
      if (sound && !["sendrecv", "sendonly"].includes(sound.currentDirection)) this.#deafen();
      const ways = (answer.headers.get("Stream-Way") ?? "").split("+");
      this.pictured = !ways.includes("sip") || ways.includes("rtsp");
      if (ways.includes("sip") || ways.includes("onvif")) this.voice = { state: "calling", code: null };
      if (resource) this.#follow(peer, resource);
      this.#changed();
    } catch (error) {
      if (peer !== this.#peer) return;
      this.tried = tried(error.headers);
      this.stop();
      this.#set("failed", error instanceof Refused ? error : { code: "codec" }); // the browser says it in English
    }
  }

  /** Nobody there hears us, whatever the button says. */
  #deafen() {
    this.deaf = true;
    if (this.live) this.refusal = "deaf";
    this.#silence();
    this.#changed();
  }

  /** Asks the desk how it is with the camera behind it, and tells it so that somebody still looks. */
  #follow(peer, resource) {
    clearInterval(this.#ask);
    this.#ask = setInterval(async () => {
      const chosen = this.#chosen;
      const said = await get(resource).catch(() => null);
      if (!said || peer !== this.#peer) return;
      if (said.state === "ended") {
        this.#resource = null; // nothing is left there to be ended
        this.stop();
        this.#set("ended");
        return;
      }
      if (said.copy === true) this.#copyTo(`${resource}/copy`);
      if (chosen === this.#chosen) this.#beLoud(said.loudness_db); // else it is the answer of before
      const away = said.state === "away" ? String(said.code) : "";
      const voice = said.voice ? { state: String(said.voice.state), code: String(said.voice.code) } : null;
      if (away === this.away && said.converted === this.converted && JSON.stringify(voice) === JSON.stringify(this.voice)) return;
      [this.away, this.converted, this.voice] = [away, said.converted === true, voice];
      this.#changed();
    }, ASK_EVERY_MS);
  }

  /** What fails here is tried again when the desk asks again. */
  async #copyTo(path) {
    if (this.#copying || this.#place === null) return;
    this.#copying = true;
    await this.#copy.start(path, this.#place, this.live ? this.#sender?.track : null).catch(() => this.#copy.stop());
    this.#copying = false;
  }

  #track(peer, stream, track) {
    if (peer !== this.#peer) return;
    stream.addTrack(track);
    if (this.#video.srcObject !== stream) this.#video.srcObject = stream;
    this.#video.play().catch(() => {});
    if (track.kind !== "audio") return;
    this.#place = track;
    this.#listen(track);
  }

  #listen(track) {
    this.#meter?.disconnect();
    const analyser = audio().createAnalyser();
    analyser.fftSize = 1024;
    this.#meter = audio().createMediaStreamSource(new MediaStream([track]));
    this.#meter.connect(analyser);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.level(rms(analyser)), LEVEL_EVERY_MS);
  }

  #moved(peer) {
    if (peer !== this.#peer) return;
    if (peer.connectionState === "failed" || peer.connectionState === "closed") {
      const lost = this.state === "playing";
      this.stop();
      this.#set(lost ? "ended" : "failed", { code: "lost" });
    }
  }

  /** Turns the microphone on or off; resolves when it is done. Starting the picture first is the caller's part. */
  async talk(on) {
    const wanted = ++this.#wanted;
    this.refusal = "";
    if (!on) this.#silence();
    else if (this.deaf) this.refusal = "deaf";
    else if (!navigator.mediaDevices) this.refusal = "insecure";
    else if (this.#sender) {
      const sender = this.#sender;
      try {
        const track = await this.#microphone.open(this.voice ? 0 : this.loudness); // the desk does it where the voice goes through it
        if (sender !== this.#sender || this.deaf) this.#microphone.close();
        else if (wanted === this.#wanted) {
          await sender.replaceTrack(track);
          this.#copy.say(track);
          this.live = true;
          if (wanted !== this.#wanted) this.#silence(); // let go of meanwhile
        }
      } catch {
        this.refusal = "denied";
      }
    }
    this.#changed();
  }

  /** Talks for as long as it is held, and hears nothing of the place meanwhile: where a pillar has no echo cancelling. */
  hold(on) {
    if (on === this.held) return;
    [this.held, this.#holds] = [on, true];
    this.#video.muted = on;
    this.talk(on);
  }

  /** Whether it can be so much louder there, or quieter. */
  canAmplify(steps) {
    return this.state === "playing" && !this.deaf && this.#resource !== null && Math.abs(this.loudness + steps * STEP_DB) <= MOST_DB;
  }

  /** Says it louder there by some steps, or quieter: at that column, by whoever speaks there, also in the next call. */
  async amplify(steps) {
    if (!this.canAmplify(steps)) return;
    this.#beLoud(this.loudness + steps * STEP_DB); // at once: the next press counts from here
    this.#chosen++;
    await post(`${this.#resource}/loudness`, { db: this.loudness }).catch(() => {}); // what is so says the desk when it is asked
    this.#chosen++;
  }

  #beLoud(db) {
    if (!Number.isInteger(db) || db === this.loudness) return;
    this.loudness = db;
    this.#changed();
    if (!this.live || this.voice) return;
    this.#microphone.close();
    this.talk(true);
  }

  /** A microphone that is talked into by holding stays open for the browser, so that the first word is not lost. */
  #silence() {
    this.#sender?.replaceTrack(null).catch(() => {});
    this.#copy.say(null);
    this.live = false;
    this.#microphone.quiet();
    if (!this.#holds) this.#microphone.close();
  }

  /** Ends picture and sound; nothing is left open, here or at the camera. */
  stop() {
    if (!this.#peer) return;
    const [peer, resource] = [this.#peer, this.#resource];
    this.#wanted++;
    this.#silence();
    this.#microphone.close();
    [this.held, this.#video.muted] = [false, false];
    [this.#peer, this.#resource, this.#sender] = [null, null, null];
    clearInterval(this.#timer);
    clearInterval(this.#look);
    clearInterval(this.#ask);
    [this.stalled, this.deaf, this.converted, this.away, this.voice, this.pictured] = [false, false, false, "", null, true];
    this.#meter?.disconnect();
    this.#meter = null;
    this.#copy.stop();
    this.#place = null;
    peer.close();
    this.#video.srcObject = null;
    this.level(0);
    end(resource);
    this.#set("idle");
  }
}

/** A Location is followed only to where the desk's own server has such things. */
function ownPath(location) {
  if (!location) return null;
  const url = new URL(location, window.location.href);
  return url.origin === window.location.origin && url.pathname.startsWith("/api/whep/") ? url.pathname : null;
}

/** "webrtc=timeout rtsp=refused", as the desk says it. */
function tried(headers) {
  const ways = (headers?.get("Stream-Tried") ?? "").split(" ").filter(Boolean);
  return ways.map((one) => ({ way: one.split("=")[0], code: one.split("=")[1] ?? "" }));
}

function end(resource) {
  if (resource) fetch(resource, { method: "DELETE", keepalive: true }).catch(() => {});
}
