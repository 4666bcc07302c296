"use strict";
// The page of a sweep: parameters on hover and focus, pictures enlarged, and a slider over the
// switch point.  Without it the grids stand and link to their files.  All text goes in as text.
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const place = (at) => at.join(",");
  const indexAt = new Map(data.cells.map((cell, i) => [place(cell.at), i]));
  const shown = new Map(); // what stands in the grids, by cell
  for (const node of document.querySelectorAll("[data-cell]"))
    shown.set(Number(node.dataset.cell), node);

  function make(tag, text, className) {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  // "Refiner switch at 0.3, Seed 2", without the axes in `but`.
  function nameOf(at, but = -1) {
    return data.axes
      .map((axis, i) => (axis.used && i !== but ? `${axis.name} ${axis.values[at[i]]}` : ""))
      .filter(Boolean).join(", ");
  }

  function fillFacts(list, facts) {
    list.replaceChildren();
    for (const [name, text] of facts) list.append(make("dt", name), make("dd", text));
  }

  function factsOf(cell) {
    const facts = [...cell.facts];
    if (cell.why) facts.push(["State", cell.why]);
    if (cell.seconds !== null) facts.push(["Finished after", `${cell.seconds.toFixed(1)} s`]);
    return facts;
  }

  // ---- pictures: the thumbnail at once, the file as soon as it is there

  const loaded = new Map(); // cell: address that works

  function load(i) {
    const picture = new Image();
    picture.onload = () => loaded.set(i, picture.src);
    picture.src = `cells/${data.cells[i].name}.png`;
    return picture;
  }

  function show(image, i) {
    const thumb = shown.get(i).querySelector("img").src;
    image.dataset.wants = i;
    image.alt = nameOf(data.cells[i].at);
    image.src = loaded.get(i) || thumb;
    image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= 128);
    if (loaded.has(i)) return;
    load(i).addEventListener("load", () => {
      if (image.dataset.wants === String(i)) image.src = loaded.get(i);
    });
  }

  // ---- parameters on hover and focus

  const card = find("card");
  let described = null; // whose card it is

  function showCard(node) {
    hideCard();
    described = node;
    const cell = data.cells[Number(node.dataset.cell)];
    const list = make("dl");
    fillFacts(list, factsOf(cell));
    card.replaceChildren(make("b", nameOf(cell.at)), list);
    card.hidden = false;
    node.setAttribute("aria-describedby", "card");
    const cellBox = node.getBoundingClientRect(), cardBox = card.getBoundingClientRect();
    const below = cellBox.bottom + 8 + cardBox.height <= innerHeight;
    const left = Math.min(cellBox.left, innerWidth - cardBox.width - 8);
    card.style.left = `${Math.max(8, left)}px`;
    card.style.top = `${below ? cellBox.bottom + 8 : Math.max(8, cellBox.top - cardBox.height - 8)}px`;
  }

  function hideCard() {
    card.hidden = true;
    if (described) described.removeAttribute("aria-describedby");
    described = null;
  }

  for (const [event, act] of [["pointerover", showCard], ["focusin", showCard],
    ["pointerout", hideCard], ["focusout", hideCard]])
    document.addEventListener(event, (e) => {
      const node = e.target.closest("[data-cell]");
      if (node) act(node);
    });
  addEventListener("scroll", () => {
    if (described && described === document.activeElement) showCard(described);
    else hideCard();
  }, { passive: true, capture: true });

  // ---- one picture, large

  const box = find("box");
  let current = 0;

  function neighbour(i, axis, step) {
    const at = [...data.cells[i].at];
    at[axis] += step;
    return indexAt.get(place(at));
  }

  function openBox(i) {
    const cell = data.cells[i];
    current = i;
    hideCard();
    find("box-name").textContent = nameOf(cell.at) || cell.name;
    find("box-picture").hidden = Boolean(cell.why);
    find("box-why").hidden = find("box-file").hidden = true;
    if (cell.why) {
      find("box-why").textContent = cell.why;
      find("box-why").hidden = false;
    } else {
      show(find("box-picture"), i);
      find("box-file").href = `cells/${cell.name}.png`;
      find("box-file").hidden = false;
    }
    fillFacts(find("box-facts"), [...factsOf(cell), ...data.common]);
    for (const button of box.querySelectorAll("[data-walk]"))
      button.disabled = neighbour(i, ...button.dataset.walk.split(",").map(Number)) === undefined;
    if (!box.open) box.showModal();
  }

  function walk(axis, step) {
    const next = neighbour(current, axis, step);
    if (next !== undefined) openBox(next);
  }

  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1],
    PageUp: [2, -1], PageDown: [2, 1] };

  box.addEventListener("keydown", (e) => {
    if (!KEYS[e.key]) return;
    e.preventDefault();
    walk(...KEYS[e.key]);
  });
  function toggleActual() {
    const actual = box.querySelector(".stage").classList.toggle("actual");
    find("box-actual").setAttribute("aria-pressed", actual);
  }

  box.addEventListener("click", (e) => {
    const button = e.target.closest("[data-walk]");
    if (button) walk(...button.dataset.walk.split(",").map(Number));
    else if (e.target.closest("#box-actual, #box-picture")) toggleActual();
    else if (e.target.closest("#box-close") || e.target.matches(".stage")) box.close();
  });
  box.addEventListener("close", () => {
    shown.get(current).focus();
    hideCard();
  });

  document.addEventListener("click", (e) => {
    const node = e.target.closest("main [data-cell], main [data-opens]");
    if (!node || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    openBox(Number(node.dataset.cell ?? node.dataset.opens));
  });

  // ---- the grids by keyboard: one stop of the Tab key each, arrows inside

  for (const table of document.querySelectorAll("table"))
    table.querySelectorAll("[data-cell]").forEach((node, i) => { node.tabIndex = i ? -1 : 0; });
  document.querySelector("main").addEventListener("keydown", (e) => {
    if (e.key === "Escape") hideCard();
    const node = e.target.closest("[data-cell], [data-opens]");
    if (!node) return;
    const i = Number(node.dataset.cell ?? node.dataset.opens);
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      openBox(i);
    }
    if (!KEYS[e.key] || node.dataset.opens) return;
    const next = neighbour(i, ...KEYS[e.key]);
    if (next === undefined) return;
    e.preventDefault();
    shown.get(next).focus();
  });

  // ---- sliding over the switch point

  const ALL = 12; // as many pictures move together; of more, one is chosen

  function startSlide(axis) {
    const range = find("slide-range"), choice = find("slide-choice"), area = find("slide-pictures");
    const values = data.axes[axis].values;
    const places = data.cells.map((cell) => cell.at).filter((at) => at[axis] === 0);

    function draw() {
      const chosen = choice.value === "all" ? places : [places[Number(choice.value)]];
      const step = Number(range.value);
      range.setAttribute("aria-valuetext", values[step]);
      find("slide-value").textContent = values[step];
      area.className = chosen.length === 1 ? "single" : "";
      chosen.forEach((first, k) => {
        const at = first.map((v, i) => (i === axis ? step : v));
        const i = indexAt.get(place(at)), cell = data.cells[i];
        const figure = area.children[k] || area.appendChild(make("figure"));
        let view = figure.firstElementChild;
        if (!view || view.matches("img") === Boolean(cell.why)) {
          view = cell.why ? make("div", "", "none") : make("img");
          view.tabIndex = 0;
          view.setAttribute("role", "button");
          figure.replaceChildren(view, make("figcaption"));
        }
        view.dataset.opens = i;
        if (cell.why) view.textContent = cell.why;
        else show(view, i);
        figure.lastElementChild.textContent = nameOf(at, axis);
      });
      while (area.children.length > chosen.length) area.lastElementChild.remove();
    }

    function loadAll() { // so that sliding does not wait
      const chosen = choice.value === "all" ? places : [places[Number(choice.value)]];
      for (const first of chosen)
        for (let step = 0; step < values.length; step++) {
          const i = indexAt.get(place(first.map((v, k) => (k === axis ? step : v))));
          if (!data.cells[i].why && !loaded.has(i)) load(i);
        }
    }

    if (places.length > 1 && places.length <= ALL) choice.append(new Option("all", "all"));
    places.forEach((at, i) => choice.append(new Option(nameOf(at, axis) || "the picture", i)));
    choice.parentElement.hidden = places.length === 1;
    find("slide-name").textContent = `Slide: ${data.axes[axis].name}`;
    find("slide-axis").textContent = data.axes[axis].name;
    range.max = values.length - 1;
    range.value = Math.floor((values.length - 1) / 2);
    range.addEventListener("input", draw);
    range.addEventListener("pointerenter", loadAll, { once: true });
    range.addEventListener("focus", loadAll, { once: true });
    choice.addEventListener("change", () => { draw(); loadAll(); });
    find("slide").hidden = false;
    draw();
  }

  if (data.slide >= 0) startSlide(data.slide);
  fillFacts(find("common"), data.common);
})();
