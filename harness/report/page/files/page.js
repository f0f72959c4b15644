
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const said = document.querySelector(".said");

  // Tables: a button in each heading sorts by what the cells say; missing values stay last.
  const compare = (a, b, numbers) =>
    numbers ? a - b : a.localeCompare(b, "en", { numeric: true, sensitivity: "base" });
  const sort = (table, column, heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    const numbers = heading.classList.contains("number");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [row.cells[column].dataset.v, row]);
    const known = keyed.filter(([key]) => key !== "");
    const key = numbers ? Number : String;
    known.sort(([a], [b]) => compare(key(a), key(b), numbers) * (down ? -1 : 1));
    body.append(...known.map(([, row]) => row), ...keyed.filter(([k]) => k === "").map(([, row]) => row));
    all("[aria-sort]", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    said.textContent = `Sorted by ${heading.textContent.trim()}, ${down ? "descending" : "ascending"}`;
  };
  all("table").forEach((table) => {
    if (table.tBodies[0].rows.length < 2) return;
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, column, heading));
    });
  });

  // A box that does not scroll needs no stop for the keyboard.
  const stops = () => all(".scroll").forEach((box) => {
    box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
  });
  addEventListener("resize", stops);
  all("details").forEach((one) => one.addEventListener("toggle", stops));
  stops();

  // Charts: views to switch between, and each value told on hover and by the arrow keys.
  all(".chart").forEach((chart) => {
    const views = all(".view", chart);
    all(".chart > .switch", chart.parentNode).filter((one) => chart.contains(one)).forEach((field) => {
      const show = () => {
        const chosen = Number(field.querySelector("input:checked").value);
        views.forEach((view, place) => { view.hidden = place !== chosen; });
      };
      field.hidden = false;
      field.addEventListener("change", show);
      show();
    });
    const pick = (key) => {
      chart.classList.toggle("picking", key !== null);
      all("[data-k]", chart).forEach((one) => one.classList.toggle("picked", one.dataset.k === key));
    };
    all(".legend li", chart).forEach((item) => {
      if (!chart.querySelector(`.series[data-k="${item.dataset.k}"]`)) return;
      item.addEventListener("pointerenter", () => pick(item.dataset.k));
      item.addEventListener("pointerleave", () => pick(null));
    });
    all(".plot", chart).forEach((plot) => enliven(plot, pick));
  });

  function enliven(plot, pick) {
    const marks = all(".mark", plot).map((mark) => {
      const title = mark.querySelector("title");
      const text = title.textContent;
      title.remove();
      return { mark, text, key: mark.parentNode.dataset.k };
    });
    if (!marks.length) return;
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    plot.append(tip);
    const svg = plot.querySelector("svg");
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", `${svg.getAttribute("aria-label")}. Arrow keys step through the values.`);
    let at = -1;
    const centre = (one) => {
      const box = one.mark.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const show = (place, keyed) => {
      if (at >= 0) marks[at].mark.classList.remove("on");
      at = place;
      tip.hidden = at < 0;
      pick(at < 0 ? null : marks[at].key);
      if (at < 0) return;
      const one = marks[at];
      one.mark.classList.add("on");
      tip.textContent = one.text;
      if (keyed) said.textContent = one.text;
      const frame = plot.getBoundingClientRect();
      const [x, y] = centre(one);
      const left = Math.min(Math.max(x - frame.x - tip.offsetWidth / 2, 0), frame.width - tip.offsetWidth);
      const above = y - frame.y - tip.offsetHeight - 12;
      tip.style.left = `${left}px`;
      tip.style.top = `${above > 0 ? above : y - frame.y + 14}px`;
    };
    const step = (key) => {
      const own = marks.map((one, place) => place).filter((p) => at < 0 || marks[p].key === marks[at].key);
      const keys = [...new Set(marks.map((one) => one.key))];
      const here = own.indexOf(at);
      const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: own.length - 1 }[key];
      if (at < 0) return 0;
      if (next !== undefined) return own[Math.min(Math.max(next, 0), own.length - 1)];
      const turn = keys.indexOf(marks[at].key) + (key === "ArrowDown" ? 1 : -1);
      const other = keys[(turn + keys.length) % keys.length];
      const theirs = marks.map((one, place) => place).filter((p) => marks[p].key === other);
      return theirs[Math.min(here, theirs.length - 1)];
    };
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return show(-1);
      if (!/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key)) return;
      event.preventDefault();
      show(step(event.key), true);
    });
    plot.addEventListener("blur", () => show(-1));
    plot.addEventListener("pointerleave", () => show(-1));
    plot.addEventListener("pointermove", (event) => {
      let best = -1;
      let least = 40;
      marks.forEach((one, place) => {
        const [x, y] = centre(one);
        const far = Math.hypot(x - event.clientX, y - event.clientY);
        if (far < least) [best, least] = [place, far];
      });
      if (best !== at) show(best);
    });
  }

  // Samples: one frame of one arm at a time.
  all(".film").forEach((film) => {
    const frame = film.querySelector(".stage svg");
    const caption = film.querySelector(".stage figcaption");
    const slider = film.querySelector("input[type=range]");
    const told = film.querySelector("output");
    const kimg = film.dataset.kimg.split(" ");
    const { width, height } = film.dataset;
    const show = () => {
      const place = Number(slider.value);
      const arm = film.querySelector("input[type=radio]:checked").value;
      frame.setAttribute("viewBox", `0 ${place * height} ${width} ${height}`);
      frame.firstElementChild.setAttribute("href", `#film-${arm}`);
      frame.setAttribute("aria-label", `Generated images of ${arm} at ${kimg[place]} kimg`);
      const name = document.createElement("code");
      name.textContent = arm;
      caption.replaceChildren(name, ` at ${kimg[place]} kimg`);
      told.textContent = `${kimg[place]} kimg`;
      slider.setAttribute("aria-valuetext", `${kimg[place]} kimg`);
    };
    film.querySelector(".controls").hidden = false;
    film.addEventListener("input", show);
    show();
  });

  // Commands: copied where the browser allows it, else selected.
  all(".command").forEach((box) => {
    const button = box.querySelector("button");
    const code = box.querySelector("code");
    const tell = (text) => {
      button.textContent = text;
      said.textContent = text;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    };
    const select = () => {
      getSelection().selectAllChildren(code);
      tell(document.execCommand("copy") ? "Copied" : "Selected");
    };
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        tell("Copied");
      } catch {
        select();
      }
    });
  });

  // Paper shows everything.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open]):not(.screen)");
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
})();
