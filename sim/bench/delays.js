// In a Chromium without a window: what it shows and plays of a call, and when. Times in ms since the epoch.

const [BITS, BLOCK] = [24, 16]; // as in clock_camera.py
const LOUD = 0.02; // of full scale
const NEVER_SILENT = 0.001;
const REST_S = 0.4; // after a click until the next can be heard

// Says the moment of the first loud sample of each click, in the sound's own time.
const EAR = `registerProcessor("ear", class extends AudioWorkletProcessor {
  process([[left]]) {
    for (let at = 0; left && at < left.length; at++) {
      const now = currentTime + at / sampleRate;
      if (Math.abs(left[at]) > ${LOUD}) {
        if (!(now - this.last < ${REST_S})) this.port.postMessage(now);
        this.last = now;
      }
    }
    return true;
  }
});`;

class Call {
  constructor() {
    this.found = { pictures: [], clicks: [], said: [] };
    this.connection = new RTCPeerConnection();
    this.sound = new AudioContext();
    this.video = document.body.appendChild(Object.assign(document.createElement("video"), { muted: true, autoplay: true }));
    this.pen = new OffscreenCanvas(BITS * BLOCK, 2 * BLOCK).getContext("2d", { willReadFrequently: true });
  }

  /** The offer. `speaks`: with a microphone, whose clicks `say` makes. */
  async offer(speaks) {
    await this.sound.audioWorklet.addModule(URL.createObjectURL(new Blob([EAR], { type: "text/javascript" })));
    this.connection.ontrack = ({ track }) => this.take(track);
    this.connection.addTransceiver("video", { direction: "recvonly" });
    if (speaks) {
      this.microphone = this.sound.createMediaStreamDestination();
      const room = new ConstantSourceNode(this.sound, { offset: NEVER_SILENT });
      room.connect(this.microphone); // a microphone sends all the time
      room.start();
      this.connection.addTrack(this.microphone.stream.getAudioTracks()[0]);
    } else this.connection.addTransceiver("audio", { direction: "recvonly" });
    await this.connection.setLocalDescription(await this.connection.createOffer());
    while (this.connection.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20));
    return this.connection.localDescription.sdp;
  }

  answer(sdp) { return this.connection.setRemoteDescription({ type: "answer", sdp }); }

  close() { this.connection.close(); this.sound.close(); this.video.remove(); }

  take(track) {
    const stream = new MediaStream([track]);
    if (track.kind === "video") {
      this.video.srcObject = stream;
      const look = (_, { expectedDisplayTime }) => { this.see(performance.timeOrigin + expectedDisplayTime); this.video.requestVideoFrameCallback(look); };
      this.video.requestVideoFrameCallback(look);
      return;
    }
    new Audio().srcObject = stream; // else Chromium decodes nothing
    const ear = new AudioWorkletNode(this.sound, "ear");
    ear.port.onmessage = ({ data }) => this.found.clicks.push(this.when(data));
    this.sound.createMediaStreamSource(stream).connect(ear).connect(this.sound.destination);
  }

  /** [when it was shown, when it was made]: the clock in the picture, if both of its rows agree. */
  see(shown) {
    this.pen.drawImage(this.video, 0, 0, BITS * BLOCK, 2 * BLOCK, 0, 0, BITS * BLOCK, 2 * BLOCK);
    const { data } = this.pen.getImageData(0, 0, BITS * BLOCK, 2 * BLOCK);
    const is = (row, bit) => data[4 * ((row * BLOCK + BLOCK / 2) * BITS * BLOCK + bit * BLOCK + BLOCK / 2)] > 128;
    let made = 0;
    for (let bit = 0; bit < BITS; bit++) {
      if (is(0, bit) === is(1, bit)) return;
      made += is(0, bit) * 2 ** bit;
    }
    this.found.pictures.push([shown, made]);
  }

  /** A moment of the sound, as the loudspeaker has it. */
  when(moment) {
    const { contextTime, performanceTime } = this.sound.getOutputTimestamp();
    return performance.timeOrigin + performanceTime + 1000 * (moment - contextTime);
  }

  /** A click into the microphone, now. */
  say() {
    const [tone, begin] = [new OscillatorNode(this.sound, { frequency: 1000 }), this.sound.currentTime];
    tone.connect(this.microphone);
    tone.start(begin);
    tone.stop(begin + 0.04);
    this.found.said.push(performance.timeOrigin + performance.now());
  }
}

window.Call = Call;
