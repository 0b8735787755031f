/* The blind list of the page of cameras: rows of values into a table whose rows become cards on a narrow screen. */
(() => {
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  };

  function cellOf(name, { strong, code, tag, text, lines, select }) {
    const cell = make("td"), box = make("div");
    cell.dataset.name = name;
    if (tag) box.append(make("span", "tag blind", tag));
    if (strong) box.append(make("b", "", strong));
    if (code) box.append(make("code", "", code));
    if (select) { const link = make("button", "link", text); link.type = "button"; link.dataset.select = select; box.append(link); }
    else if (text) box.append(make("span", "", text));
    for (const line of lines || []) box.append(make("small", "", line));
    cell.append(box);
    return cell;
  }

  function fill(box, { head, rows, empty }) {
    if (!rows.length) { box.replaceChildren(make("p", "empty", empty)); return; }
    const table = make("table", "plain-table stacking"), top = make("thead"), names = make("tr"), body = make("tbody");
    for (const name of head) { const cell = make("th", "", name); cell.scope = "col"; names.append(cell); }
    for (const { worst, cells } of rows) {
      const row = make("tr", worst ? `unwatched worst-${worst}` : "");
      cells.forEach((cell, place) => row.append(cellOf(head[place], cell)));
      body.append(row);
    }
    top.append(names);
    table.append(top, body);
    box.replaceChildren(table);
  }

  window.dash_clientside.geoapp.blindTable = (data) => {
    const box = document.getElementById("blind-table");
    if (box && data) fill(box, data);
    return data ? String(data.rows.length) : window.dash_clientside.no_update;
  };
})();
