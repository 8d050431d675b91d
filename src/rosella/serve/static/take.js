// A recording by microphone, or a sound file instead.

const LONGEST = 30; // seconds

const WHY = {
  NotAllowedError: "The browser may not use the microphone: allow it in the address bar, or choose a file.",
  NotFoundError: "There is no microphone: connect one, or choose a file.",
};

export class Take {
  #element;
  #recorder = null;
  #timer = 0;
  file = null; // what was recorded or chosen

  constructor(element, template) {
    this.#element = element;
    element.append(template.content.cloneNode(true));
    this.#find(".record").onclick = () => (this.#recorder ? this.#recorder.stop() : this.#record());
    this.#find("input").onchange = ({ target }) => target.files[0] && this.#keep(target.files[0]);
  }

  /** Ends what is going on and forgets what was recorded. */
  clear() {
    if (this.#recorder) {
      this.#recorder.onstop = null;
      this.#end();
    }
    this.file = null;
    this.#find("audio").hidden = true;
    this.#find("audio").removeAttribute("src");
    this.#find("input").value = "";
    this.#say("");
  }

  async #record() {
    this.clear();
    if (!navigator.mediaDevices) {
      this.#say("Browsers record only from https pages or this very machine: choose a file.");
      return;
    }
    try {
      const audio = { echoCancellation: false, noiseSuppression: false };
      this.#listen(await navigator.mediaDevices.getUserMedia({ audio }));
    } catch (error) {
      this.#say(WHY[error.name] ?? "The microphone cannot be used: choose a file.");
    }
  }

  #listen(stream) {
    const pieces = [];
    const recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    recorder.onstop = () => {
      this.#end();
      this.#keep(new Blob(pieces, { type: recorder.mimeType }));
    };
    recorder.start();
    this.#recorder = recorder;
    this.#find(".record").textContent = "Stop recording";
    this.#say("Recording …");
    this.#timer = setTimeout(() => recorder.stop(), LONGEST * 1000);
  }

  #end() {
    clearTimeout(this.#timer);
    for (const track of this.#recorder.stream.getTracks()) track.stop();
    this.#recorder = null;
    this.#find(".record").textContent = "Record";
  }

  #keep(file) {
    this.file = file;
    const audio = this.#find("audio");
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(file);
    audio.hidden = false;
    this.#find(".record").textContent = "Record anew";
    this.#say("");
  }

  #say(text) {
    this.#find("[role=status]").textContent = text;
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }
}
