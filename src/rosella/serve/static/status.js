// How it goes, and what went wrong: each in a sentence.

const status = document.querySelector("#status");
const box = document.querySelector("#fault");
const again = box.querySelector(".again");
let timer = 0;

export function say(sentence) {
  status.textContent = sentence;
}

/** Shows what went wrong; `retry` is offered where the same may succeed later, and its button says when. */
export function showFault(fault, retry) {
  hideFault();
  say("");
  const wait = fault.wait ? ` Try again in ${fault.wait} s.` : "";
  box.querySelector("p").textContent = fault.message + wait;
  again.hidden = !(fault.again && retry);
  again.onclick = () => {
    hideFault();
    retry();
  };
  countDown(Math.ceil(fault.wait ?? 0));
  box.hidden = false;
}

export function hideFault() {
  clearTimeout(timer);
  box.hidden = true;
}

/** Seconds as 1:05. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function countDown(seconds) {
  again.textContent = seconds > 0 ? `Try again (${seconds} s)` : "Try again";
  again.setAttribute("aria-label", "Try again"); // without the seconds, which would be read each time
  if (seconds > 0) timer = setTimeout(() => countDown(seconds - 1), 1000);
}

box.querySelector(".close").onclick = hideFault;
