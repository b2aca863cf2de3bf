"use strict";

// Order of two cells' values; a missing one ("") comes last in either direction.
function compareValues(first, second, kind, descending) {
  if (first === "" || second === "") {
    return (first === "") - (second === "");
  }
  const order = kind === "number" ? Number(first) - Number(second) : first.localeCompare(second, "en", { numeric: true });
  return descending ? -order : order;
}

function sortTable(heading) {
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th")) {
    other.removeAttribute("aria-sort");
  }
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const value = (row) => row.cells[column].dataset.value;
  const rows = Array.from(body.rows);
  rows.sort((a, b) => compareValues(value(a), value(b), heading.dataset.kind, descending));
  body.append(...rows);
}

if (typeof document !== "undefined") {
  for (const heading of document.querySelectorAll(".sortable th")) {
    heading.querySelector("button").addEventListener("click", () => sortTable(heading));
  }
  for (const button of document.querySelectorAll(".gallery button")) {
    button.addEventListener("click", () => {
      const large = button.parentElement.classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
    });
  }
} else {
  module.exports = { compareValues };
}
