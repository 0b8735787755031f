/* The ledger's grid: hours across, places down. A field that is clicked (or entered by key) is told in full below. */
(() => {
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  };

  function fill(box, { head, hours, lines, empty }, kind) {
    if (!lines.length) { box.replaceChildren(make("p", "empty", empty)); return; }
    const table = make("table"), top = make("thead"), names = make("tr"), body = make("tbody");
    for (const name of [...head, ...hours]) { const cell = make("th", "", name); cell.scope = "col"; names.append(cell); }
    for (const { place, name, code, share, connected, fields } of lines) {
      const row = make("tr"), first = make("th", "", name);
      first.scope = "row";
      first.title = code ? `${name} ${code}` : name;
      row.append(first, make("td", "n", share), make("td", "n soft", connected));
      for (const { hour, kind: look, text, title, blind } of fields) {
        const cell = make("td");
        if (look !== "future") {
          const field = make("button", `ledger-field ${look}${blind ? " has-blind" : ""}`, text);
          field.type = "button";
          field.title = title;
          field.setAttribute("aria-label", title);
          Object.assign(field.dataset, { ledgerPlace: place, ledgerHour: hour, ledgerKind: kind });
          cell.append(field);
        }
        row.append(cell);
      }
      body.append(row);
    }
    top.append(names);
    table.append(top, body);
    box.replaceChildren(table);
  }

  document.addEventListener("click", (event) => {
    const field = event.target.closest("[data-ledger-hour]");
    if (!field) return;
    for (const other of document.querySelectorAll(".ledger-field.chosen")) other.classList.remove("chosen");
    field.classList.add("chosen");
    const { ledgerPlace: place, ledgerHour: hour, ledgerKind: kind } = field.dataset;
    window.dash_clientside.set_props("ledger-chosen", { data: { place, hour, kind } });
  });

  window.dash_clientside.geoapp.ledgerGrid = (data, kind) => {
    const box = document.getElementById("ledger-grid");
    if (box && data) fill(box, data, kind);
    return data ? String(data.lines.length) : window.dash_clientside.no_update;
  };
})();
