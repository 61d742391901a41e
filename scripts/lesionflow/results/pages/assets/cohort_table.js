// The table of the scans: sort, filter, search, columns to choose.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const { DataTable } = libraries;
  const text = (value) => String(value).replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

  /** The address of a scan's view in the report. */
  const scanAddress = (page) => `#scan/${encodeURIComponent(page.model)}/${encodeURIComponent(page.scan)}`;

  /** The name of a scan, with a link to its lesions under each model. */
  function scanCell(cohort, row) {
    const pages = cohort.pages.filter((page) => page.row === row);
    const name = text(cohort.rows[row][0]);
    if (pages.length === 1) return `<a href="${text(scanAddress(pages[0]))}">${name}</a>`;
    return [name, ...pages.map((page) => `<a href="${text(scanAddress(page))}">${text(page.model)}</a>`)].join(" ");
  }

  /** Two rows of headers: names, by which the table is sorted, and a filter for each column. */
  function drawHeaders(element, columns) {
    const head = element.createTHead();
    const [names, filters] = [head.insertRow(), head.insertRow()];
    return columns.map((column) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = column.name;
      cell.title = column.text;
      names.append(cell);
      const filter = document.createElement("input");
      filter.type = "search";
      filter.setAttribute("aria-label", `Filter by ${column.name}`);
      filters.insertCell().append(filter);
      return filter;
    });
  }

  /** Make the table of the cohort in an empty table element. */
  function drawTable(element, cohort) {
    const order = [...cohort.rows.keys()].sort((a, b) => cohort.ranks[a] - cohort.ranks[b] || a - b);
    const pagesOf = new Map();
    for (const page of cohort.pages) pagesOf.set(page.row, [...(pagesOf.get(page.row) ?? []), page]);
    const filters = drawHeaders(element, cohort.columns);
    const columns = cohort.columns.map((column, n) => ({
      data: n + 1,
      visible: column.shown,
      type: column.numeric ? "num" : "string",
      className: column.numeric ? "num" : column.name === "reason" ? "why" : "",
      render: (value, kind, data) => {
        if (kind !== "display") return column.numeric && kind !== "filter" ? (value === "" ? -Infinity : Number(value)) : value;
        return n ? text(value) : scanCell({ rows: cohort.rows, pages: pagesOf.get(data[0]) ?? [] }, data[0]);
      },
    }));
    const table = new DataTable(element, {
      autoWidth: false,
      buttons: [{ extend: "colvis", text: "Columns" }],
      columns,
      createdRow: (row, data) => row.classList.add(["bad", "flagged", "fine"][cohort.ranks[data[0]]]),
      data: order.map((row) => [row, ...cohort.rows[row]]),
      deferRender: true,
      layout: { topStart: "buttons", topEnd: "search", bottomStart: ["pageLength", "info"], bottomEnd: "paging" },
      lengthMenu: [25, 50, 100, 500, { label: "all", value: -1 }],
      order: [], // failures and flags first, then as in cohort.csv
      pageLength: 50,
      titleRow: 0,
    });
    filters.forEach((filter, n) => filter.addEventListener("input", () => table.column(n).search(filter.value).draw()));
    // the focus was in the list of columns, and would begin again at the top of the page
    document.body.addEventListener("buttons-popover-hide", () => {
      const chosen = document.activeElement;
      if (chosen === document.body || chosen?.closest(".dt-button-collection"))
        element.closest(".dt-container").querySelector(".buttons-colvis").focus();
    });
    let length = null;
    addEventListener("beforeprint", () => {
      length = table.page.len();
      table.page.len(-1).draw();
    });
    addEventListener("afterprint", () => length !== null && table.page.len(length).draw());
    return table;
  }

  Object.assign(lesionflow, { drawTable, scanAddress });
})();
