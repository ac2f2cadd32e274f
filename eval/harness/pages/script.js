"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = (text) => { document.getElementById("status").textContent = text; };

  // Tables: a heading sorts the rows of each group by their values; rows without one stay last, equal ones in order.
  const value = (row, index) => {
    const text = row.cells[index].dataset.value;
    return text === undefined ? null : text;
  };
  const compare = (a, b, isText, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (isText ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b));
  };
  const sort = (heading) => {
    const table = heading.closest("table");
    const index = heading.cellIndex;
    const isText = heading.classList.contains("text");
    const now = heading.getAttribute("aria-sort");
    const other = { ascending: "descending", descending: "ascending" };
    const order = now ? other[now] : heading.dataset.first;
    all("thead th", table).forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !("fixed" in row.dataset));
      rows.sort((a, b) => compare(value(a, index), value(b, index), isText, sign));
      body.append(...rows);
    }
    say(`Sorted by ${heading.textContent}, ${order}`);
  };
  all("table.sortable thead th").forEach((heading) => {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  });

  // Splits: tabs that show one panel, and the samples of that split.
  const tabs = all('[role="tab"]');
  const select = (tab) => {
    for (const one of tabs) {
      const isOn = one === tab;
      one.setAttribute("aria-selected", String(isOn));
      one.tabIndex = isOn ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !isOn;
    }
    const clips = all(".clip[data-split]");
    const known = new Set(clips.map((clip) => clip.dataset.split));
    const isWhole = tab.dataset.split === "Overall" && !known.has("Overall");
    clips.forEach((clip) => {
      clip.hidden = !isWhole && clip.dataset.split !== tab.dataset.split;
      if (clip.hidden) all("audio", clip).forEach((sound) => sound.pause());
    });
    all(".no-samples").forEach((note) => { note.hidden = clips.some((clip) => !clip.hidden); });
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const to = { ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index === 0 ? last : index - 1, Home: 0, End: last };
      if (!(event.key in to)) return;
      event.preventDefault();
      select(tabs[to[event.key]]);
      tabs[to[event.key]].focus();
    });
  });
  if (tabs.length) select(tabs[0]);

  // Published rows, in all tables and plots at once.
  const published = all(".show-published");
  published.forEach((box) => box.addEventListener("change", () => {
    published.forEach((other) => { other.checked = box.checked; });
    document.body.classList.toggle("no-published", !box.checked);
  }));

  // One metric at a time in the tables below the leaderboard.
  all("[data-choices]").forEach((block) => {
    const choice = block.querySelector("select");
    const show = () => all("[data-choice]", block).forEach((one) => { one.hidden = one.dataset.choice !== choice.value; });
    choice.addEventListener("change", show);
    show();
  });

  // Plots: the boxes choose the metrics in every split; a codec under the pointer stands out in all plots.
  const boxes = all(".chips input");
  const figures = all(".plots figure");
  const draw = () => {
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    figures.forEach((figure) => { figure.hidden = !chosen.has(figure.dataset.choice); });
  };
  boxes.forEach((box) => box.addEventListener("change", () => {
    boxes.filter((other) => other.value === box.value).forEach((other) => { other.checked = box.checked; });
    draw();
  }));
  draw();
  const points = all(".plots [data-model]");
  points.forEach((point) => {
    const mark = (isOn) => {
      document.body.classList.toggle("marking", isOn);
      points.forEach((other) => other.classList.toggle("marked", isOn && other.dataset.model === point.dataset.model));
    };
    point.addEventListener("pointerenter", () => mark(true));
    point.addEventListener("pointerleave", () => mark(false));
  });

  // Players: one at a time, and within a clip from where the last one was, so that codecs compare.
  let playing = null;
  const keep = document.getElementById("keep-place");
  all("audio").forEach((sound) => sound.addEventListener("play", () => {
    const before = playing;
    playing = sound;
    if (!before || before === sound) return;
    const isSameClip = before.closest(".clip") === sound.closest(".clip");
    if (keep && keep.checked && isSameClip && !before.ended) sound.currentTime = before.currentTime;
    before.pause();
  }));

  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
      say("Copied");
    } catch {
      // Where a page may not write to the clipboard, the reader can: the text is selected.
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
  }));
})();
