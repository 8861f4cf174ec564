// The officer's microphone: opened, made louder if need be, and how loud it is.

import { audio, rms } from "./sound.js";

const LEVEL_EVERY_MS = 100;
const MAKEUP = 0.6; // of what the limiter takes from the loudest sound the browser adds to everything (Web Audio API)
const LIMITER = { threshold: -6, knee: 0, ratio: 20, attack: 0.003, release: 0.1 };

export class Microphone {
  #level; #own = null; #sent = null; #nodes = []; #timer = 0;

  /** `level(0..1)` hears how loud it is while it is open. */
  constructor(level) {
    this.#level = level;
  }

  /** The track to be sent, made louder or quieter by `db`; a limiter keeps it within what can be sent. Raises what
   * getUserMedia raises. */
  async open(db) {
    if (!this.#own || this.#own.readyState !== "live") {
      const heard = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
      this.close();
      [this.#own] = heard.getAudioTracks();
    }
    this.#measure(db);
    return this.#sent;
  }

  #measure(db) {
    this.quiet();
    const context = audio();
    const source = context.createMediaStreamSource(new MediaStream([this.#own]));
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    this.#nodes = [source, analyser];
    this.#sent = this.#own;
    let last = source;
    if (db && context.state === "running") { // else the browser would send silence
      const gain = context.createGain();
      gain.gain.value = 10 ** (db / 20);
      const out = context.createMediaStreamDestination();
      this.#nodes.push(gain, out);
      last = source.connect(gain);
      if (db > 0) last = this.#limited(context, gain);
      last.connect(out);
      [this.#sent] = out.stream.getAudioTracks();
    }
    last.connect(analyser);
    this.#timer = setInterval(() => this.#level(rms(analyser)), LEVEL_EVERY_MS);
  }

  #limited(context, source) {
    const limiter = context.createDynamicsCompressor();
    for (const [name, value] of Object.entries(LIMITER)) limiter[name].value = value;
    const back = context.createGain();
    back.gain.value = 10 ** (LIMITER.threshold * (1 - 1 / LIMITER.ratio) * MAKEUP / 20);
    this.#nodes.push(limiter, back);
    return source.connect(limiter).connect(back);
  }

  /** Nothing is measured or made louder; it stays open. */
  quiet() {
    clearInterval(this.#timer);
    for (const node of this.#nodes) node.disconnect();
    this.#nodes = [];
    this.#level(0);
  }

  close() {
    this.quiet();
    this.#own?.stop();
    [this.#own, this.#sent] = [null, null];
  }
}
