"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  // A pause before the sound has begun breaks the promise to play; the player shows how it stands anyway.
  const start = (sound) => { sound.play().catch(() => {}); };
  const place = (element, share) => { element.style.left = `${100 * share}%`; };

  all("[data-share]").forEach((one) => { one.style.width = `${100 * one.dataset.share}%`; });

  // Tokens: what the cell under the pointer, the arrow keys or the playhead stands for.
  const strips = new Map();
  all(".strip").forEach((strip) => {
    const levels = strip.dataset.codes.split(";").map((level) => level.split(" ").map(Number));
    const frame = Number(strip.dataset.frame);
    const cell = strip.querySelector(".cell");
    const readout = strip.nextElementSibling;
    const last = levels[0].length - 1;
    const show = (index) => {
      const at = clamp(index, 0, last);
      const codes = levels.map((level) => level[at].toLocaleString("en")).join(" · ");
      const text = `${(at * frame).toFixed(2)} s, frame ${at.toLocaleString("en")}, code ${codes}`;
      if (readout.textContent === text) return at;
      readout.textContent = text;
      strip.setAttribute("aria-valuenow", at);
      strip.setAttribute("aria-valuetext", text);
      cell.hidden = false;
      place(cell, at / (last + 1));
      cell.style.width = `${100 / (last + 1)}%`;
      return at;
    };
    strips.set(strip, { frame, last, show });
    strip.addEventListener("pointermove", (event) => {
      const box = strip.querySelector(".drawn").getBoundingClientRect();
      show(Math.floor(((event.clientX - box.left) / box.width) * (last + 1)));
    });
  });

  let playing = null;
  all(".clip").forEach((clip) => {
    const lanes = clip.querySelector(".lanes");
    const seconds = Number(lanes.dataset.seconds);
    const heads = all(".head", clip);
    const sounds = all("audio", clip);
    const own = all(".strip", clip);

    const move = (time, follow) => {
      heads.forEach((head) => { head.hidden = false; place(head, time / seconds); });
      own.forEach((strip) => { const at = strips.get(strip); at.show(Math.floor(time / at.frame + 1e-6)); });
      const inner = lanes.scrollWidth, x = (time / seconds) * inner;
      if (follow && inner > lanes.clientWidth && (x < lanes.scrollLeft || x > lanes.scrollLeft + 0.9 * lanes.clientWidth)) {
        lanes.scrollLeft = x - 0.1 * lanes.clientWidth;
      }
    };
    const follow = () => {
      if (!playing || playing.paused || !sounds.includes(playing)) return;
      move(playing.currentTime, true);
      requestAnimationFrame(follow);
    };
    const go = (time, sound) => {
      sound.currentTime = time;
      move(time, true);
    };
    sounds.forEach((sound) => {
      // One at a time, and within a clip from where the last one was.
      sound.addEventListener("play", () => {
        const before = playing;
        playing = sound;
        if (before && before !== sound) {
          if (sounds.includes(before) && !before.ended && before.currentTime > 0) sound.currentTime = before.currentTime;
          before.pause();
        }
        follow();
      });
      sound.addEventListener("seeked", () => { if (playing === sound || !playing) move(sound.currentTime, true); });
    });
    all(".picture, .strip", clip).forEach((drawn) => drawn.addEventListener("click", (event) => {
      const box = drawn.getBoundingClientRect();
      const sound = drawn.closest(".lane").querySelector("audio");
      go(clamp((event.clientX - box.left) / box.width, 0, 1) * seconds, sound);
      if (playing && !playing.paused && playing !== sound && sounds.includes(playing)) {
        // The click chose the place: what played before has no say.
        playing.pause();
        playing = null;
        start(sound);
      }
    }));
    own.forEach((strip) => strip.addEventListener("keydown", (event) => {
      const { frame, last } = strips.get(strip);
      const now = Number(strip.getAttribute("aria-valuenow"));
      const to = {
        ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1,
        PageUp: now + 10, PageDown: now - 10, Home: 0, End: last,
      };
      const sound = strip.closest(".lane").querySelector("audio");
      if (event.key in to) go(clamp(to[event.key], 0, last) * frame, sound);
      else if (event.key === " " || event.key === "Enter") sound.paused ? start(sound) : sound.pause();
      else return;
      event.preventDefault();
    }));
    clip.querySelector(".zoom").addEventListener("change", (event) => {
      const middle = (lanes.scrollLeft + lanes.clientWidth / 2) / lanes.scrollWidth;
      clip.querySelector(".inner").style.width = `${100 * event.target.value}%`;
      lanes.scrollLeft = middle * lanes.scrollWidth - lanes.clientWidth / 2;
    });
  });
})();
