"use strict";
(() => {
  document.documentElement.classList.add("scripted");

  // Tables: a heading sorts the rows by its column.

  const orderOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.order ?? cell.textContent;
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const compare = (one, other) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === typeof other) return one < other ? -1 : one > other ? 1 : 0;
    return typeof one === "number" ? -1 : 1;
  };
  const sort = (table, heading) => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [orderOf(row, heading.cellIndex), row]);
    const empty = rows.filter(([order]) => order === null);
    const full = rows.filter(([order]) => order !== null).sort(([one], [other]) => compare(one, other));
    if (!ascending) full.reverse();
    body.append(...[...full, ...empty].map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent || "name";
      button.addEventListener("click", () => sort(table, heading));
      heading.replaceChildren(button);
    }
  }

  // A link to something folded unfolds it.

  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Charts.

  if (typeof Chart === "undefined") return;
  const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
  const SHAPES = ["circle", "rect", "triangle", "rectRot", "star"];
  const MOST_VALUES_IN_ONE_TIP = 12;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const look = (line, form) => {
    const own = colour(`--line-${line.colour}`);
    if (form === "scatter") {
      return {
        borderColor: own, backgroundColor: line.hollow ? "transparent" : own,
        pointStyle: SHAPES[line.shape % SHAPES.length], radius: line.hollow ? 4 : 3.5, borderWidth: 1.3, hoverRadius: 6,
      };
    }
    return {
      borderColor: own, backgroundColor: own, borderDash: DASHES[line.shape % DASHES.length],
      borderWidth: line.main ? 3 : 1.4, pointRadius: line.x.length <= 60 ? 2 : 0, pointHoverRadius: 5,
    };
  };
  const textOf = (item, data) => {
    const where = data.form === "line" ? `${data.x} ${item.parsed.x}, ` : "";
    return `${where}${item.dataset.label}: ${data.form === "line" ? item.parsed.y : `${item.parsed.x}, ${item.parsed.y}`}`;
  };
  const axis = (title, whole) => ({
    type: "linear", grid: { color: colour("--edge") }, border: { color: colour("--edge") },
    title: { display: title !== "", text: title, color: colour("--faint") },
    ticks: { display: title !== "", color: colour("--faint"), precision: whole ? 0 : undefined },
  });
  const mode = (chart) => (chart.getVisibleDatasetCount() <= MOST_VALUES_IN_ONE_TIP && chart.data.form === "line" ? "x" : "xy");

  const draw = (figure) => {
    const canvas = figure.querySelector("canvas");
    const data = JSON.parse(figure.querySelector("script").textContent);
    const datasets = data.lines.map((line) => ({
      label: line.name, hidden: !line.shown, spanGaps: true,
      data: line.x.map((x, place) => ({ x, y: line.y[place] })), ...look(line, data.form),
    }));
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const chart = new Chart(canvas, {
      type: data.form,
      data: { datasets, form: data.form },
      options: {
        parsing: false, normalized: true, animation: false, responsive: true, maintainAspectRatio: false,
        interaction: { mode: "nearest", intersect: false, axis: "xy" },
        scales: { x: axis(data.x, true), y: axis(data.y, false) },
        plugins: {
          legend: { display: false },
          tooltip: {
            callbacks: {
              title: (items) => (data.form === "line" && items.length ? `${data.x} ${items[0].parsed.x}` : ""),
              label: (item) => (data.form === "line" ? `${item.dataset.label}: ${item.parsed.y}` : item.dataset.label),
            },
          },
        },
      },
    });
    const settle = () => {
      chart.options.interaction.axis = mode(chart);
      chart.update("none");
    };
    settle();
    const boxes = Array.from(figure.querySelectorAll(".boxes input"));
    boxes.forEach((box, place) => {
      chart.setDatasetVisibility(place, box.checked); // a browser may keep what was checked when a page is loaded again
      box.addEventListener("change", () => {
        chart.setDatasetVisibility(place, box.checked);
        settle();
      });
    });
    for (const button of figure.querySelectorAll("[data-show]")) {
      button.addEventListener("click", () => {
        boxes.forEach((box, place) => {
          box.checked = { all: true, none: false, first: data.lines[place].shown }[button.dataset.show];
          chart.setDatasetVisibility(place, box.checked);
        });
        settle();
      });
    }
    settle();
    walk(chart, canvas, figure.querySelector("output"), data);
    return chart;
  };

  // With the arrow keys: along a line, and from line to line.

  const walk = (chart, canvas, output, data) => {
    let line = 0, place = -1;
    const show = () => {
      const active = [{ datasetIndex: line, index: place }];
      const point = chart.getDatasetMeta(line).data[place];
      chart.setActiveElements(active);
      chart.tooltip.setActiveElements(active, { x: point.x, y: point.y });
      chart.update("none");
      output.textContent = textOf({ parsed: chart.data.datasets[line].data[place], dataset: chart.data.datasets[line] }, data);
    };
    canvas.addEventListener("keydown", (event) => {
      const along = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
      const across = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const visible = data.lines.map((_, one) => one).filter((one) => chart.isDatasetVisible(one));
      if ((along === undefined && across === undefined) || !visible.length) return;
      event.preventDefault();
      if (across !== undefined) {
        const next = visible.indexOf(line) + across;
        line = visible[Math.min(visible.length - 1, Math.max(0, next))];
      } else if (!visible.includes(line)) {
        line = visible[0];
      }
      const last = data.lines[line].x.length - 1;
      place = Math.min(last, Math.max(0, place + (along ?? 0)));
      show();
    });
  };

  // A chart is drawn when it comes near the screen, so that a page of many is there at once.

  const drawn = new Map();
  const drawOnce = (figure) => {
    if (!drawn.has(figure)) drawn.set(figure, draw(figure));
  };
  const figures = document.querySelectorAll("figure.chart");
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      near.unobserve(entry.target);
      drawOnce(entry.target);
    }),
    { rootMargin: "400px" },
  );
  figures.forEach((figure) => near.observe(figure));
  addEventListener("beforeprint", () => figures.forEach(drawOnce));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [figure, chart] of drawn) {
      const data = JSON.parse(figure.querySelector("script").textContent);
      chart.data.datasets.forEach((dataset, place) => Object.assign(dataset, look(data.lines[place], data.form)));
      chart.options.scales = { x: axis(data.x, true), y: axis(data.y, false) };
      chart.update("none");
    }
  });
})();
