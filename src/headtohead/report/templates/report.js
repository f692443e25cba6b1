
// The report alone: sorting, filters, copying.
(() => {
  const press = (buttons, chosen) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === chosen)));

  // Tables: a header becomes a button that sorts by its column.
  const value = (row, column) => { const cell = row.cells[column]; return cell.dataset.sort ?? cell.innerText.trim(); };
  function sort(table, header) {
    const column = header.cellIndex, body = table.tBodies[0];
    const numeric = [...body.rows].some((row) => row.cells[column].dataset.sort !== undefined);
    const first = numeric ? "descending" : "ascending";
    const other = numeric ? "ascending" : "descending";
    const order = header.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => (numeric ? Number(a) - Number(b) : a.localeCompare(b, root.lang, { numeric: true }));
    const missing = (x) => numeric && Number.isNaN(Number(x));
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    all("th[aria-sort]", table).forEach((th) => th.setAttribute("aria-sort", th === header ? order : "none"));
  }
  for (const table of all("table.sortable")) {
    for (const header of table.tHead.rows[0].cells) {
      if (header.tagName !== "TH") continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, header));
    }
  }

  // Matrices: which one, counts or shares.
  const errors = one("#errors"), models = all("[data-matrix-of]"), units = all("[data-unit]");
  function show(button) {
    press(models, button);
    errors.classList.toggle("difference", button.dataset.matrixOf === "difference");
    all(".matrix-of").forEach((m) => m.classList.toggle("chosen", m.dataset.matrix === button.dataset.matrixOf));
  }
  models.forEach((b) => b.addEventListener("click", () => show(b)));
  show(models[0]);
  units.forEach((b) => b.addEventListener("click", () => { press(units, b); errors.dataset.show = b.dataset.unit; }));

  // Images of errors: those of one cell, and those that a filter lets through.
  const gallery = one(".gallery");
  if (gallery) {
    const filters = all("[data-filter]"), agree = one("[data-agree-only]"), back = one("[data-all-pairs]"), more = one("[data-more]");
    const groups = all(".group", gallery);
    let wrong = "", short = true, pair = "";
    const update = () => {
      const together = agree.getAttribute("aria-pressed") === "true";
      for (const group of groups) {
        for (const photo of all(".photo", group)) photo.hidden = (wrong && photo.dataset.wrong !== wrong) || (together && !("agree" in photo.dataset));
        group.hidden = (pair && group.id !== pair) || !group.querySelector(".photo:not([hidden])");
      }
      const isShort = short && !pair && !wrong && !together;
      gallery.classList.toggle("short", isShort);
      if (more) more.hidden = !isShort;
      back.hidden = !pair;
      one("[data-shown]").value = all(".photo", gallery).filter((photo) => photo.checkVisibility()).length;
    };
    const follow = () => {
      const target = groups.find((group) => "#" + group.id === location.hash);
      pair = target ? target.id : "";
      if (target) { wrong = ""; press(filters, filters[0]); agree.setAttribute("aria-pressed", "false"); }
      update();
      if (target) target.scrollIntoView({ block: "start" });
    };
    filters.forEach((b) => b.addEventListener("click", () => { wrong = b.dataset.filter; press(filters, b); update(); }));
    agree.addEventListener("click", () => { agree.setAttribute("aria-pressed", String(agree.getAttribute("aria-pressed") !== "true")); update(); });
    back.addEventListener("click", () => { pair = ""; history.replaceState(null, "", "#photos"); update(); });
    if (more) more.addEventListener("click", () => { short = false; update(); });
    addEventListener("hashchange", follow);
    follow();
  }

  // Suspects: what is ticked, as CSV. A leading =, +, - or @ would be a formula in a spreadsheet.
  const copy = one("[data-copy]");
  if (copy) {
    const boxes = all(".suspects input");
    const ticked = () => boxes.filter((box) => box.checked);
    const quote = (text) => `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
    const csv = () => ["file,label,cnn,probe", ...ticked().map(({ dataset: d }) => [d.file, d.label, d.cnn, d.probe].map(quote).join(","))].join("\n") + "\n";
    const done = one("[data-copied]");
    boxes.forEach((box) => box.addEventListener("change", () => { one("[data-ticked]").value = ticked().length; done.hidden = true; }));
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(csv());
      } catch { // an older browser, or one that asks and was refused
        const area = document.createElement("textarea");
        area.value = csv();
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      done.hidden = false;
    });
  }
})();
