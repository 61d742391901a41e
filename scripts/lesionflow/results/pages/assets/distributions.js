// Distributions over the cohort as strip plots, and the contact sheet.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const { dot, html, plot, ruleX, useEffect, useRef, useState } = libraries;
  const SHOWN_OUTLIERS = 12;

  /** A fixed height between -1 and 1 for each point, so that equal values do not hide each other. */
  const jitter = (n) => 2 * ((n * 0.618034) % 1) - 1;

  function StripPlot({ cohort, distribution, highlighted }) {
    const place = useRef(null);
    const outliers = new Set(distribution.outliers);
    const name = (row) => cohort.rows[row][0];
    const address = (row) => {
      const page = cohort.pages.find((other) => other.row === row && (!distribution.model || other.model === distribution.model));
      return page && lesionflow.scanAddress(page);
    };
    useEffect(() => {
      const pages = new Map(cohort.pages.filter((page) => !distribution.model || page.model === distribution.model).map((page) => [page.row, page]));
      const points = distribution.values.map(([row, value], n) => ({
        ...{ row, value, y: jitter(n), outlier: outliers.has(row), named: highlighted && name(row).includes(highlighted) },
        page: pages.get(row),
      }));
      const drawn = plot({
        width: 620,
        height: 96,
        marginLeft: 12,
        marginRight: 12,
        x: { label: null, nice: true, ticks: 6, tickFormat: (value) => String(Number(value.toPrecision(6))) },
        y: { axis: null, domain: [-1.3, 1.3] },
        marks: [
          ruleX([distribution.low, distribution.high].filter((value) => value !== null), { stroke: "#5f6b76", strokeDasharray: "3 3" }),
          dot(points.filter((p) => !p.outlier), { x: "value", y: "y", r: 3, fill: "#0b6fb8", fillOpacity: 0.55, title: (p) => `${name(p.row)}: ${p.value}` }),
          dot(points.filter((p) => p.outlier), { x: "value", y: "y", r: 5, symbol: "triangle", fill: "#b3400a", title: (p) => `${name(p.row)}: ${p.value}, an outlier` }),
          dot(points.filter((p) => p.named), { x: "value", y: "y", r: 8, stroke: "black", strokeWidth: 2, fill: "none", title: (p) => name(p.row) }),
        ],
      });
      drawn.setAttribute("role", "img");
      drawn.setAttribute("aria-label", `${distribution.title} of ${points.length} scans, ${outliers.size} of them outliers`);
      // Points are not links: thousands would stop the Tab key. The table and the list of outliers lead to the same pages.
      const groups = [...drawn.querySelectorAll("g[aria-label=dot]")];
      [points.filter((p) => !p.outlier), points.filter((p) => p.outlier)].forEach((group, n) =>
        group.forEach(({ page }, index) => {
          const point = groups[n].children[index];
          if (!page) return;
          point.style.cursor = "pointer";
          point.addEventListener("click", () => (location.hash = lesionflow.scanAddress(page)));
        }),
      );
      place.current.replaceChildren(drawn);
    }, [highlighted]);
    const listed = distribution.outliers.slice(0, SHOWN_OUTLIERS);
    return html`<figure class="strip">
      <figcaption>${distribution.title}${distribution.units && ` (${distribution.units})`}</figcaption>
      <div ref=${place}></div>
      ${listed.length > 0 && html`<p>Outliers: ${listed.map((row, n) => html`${n > 0 && ", "}${address(row) ? html`<a href=${address(row)}>${name(row)}</a>` : name(row)}`)}
        ${outliers.size > listed.length && `, and ${outliers.size - listed.length} more`}</p>`}
    </figure>`;
  }

  /** Draw a part of the page when it comes into view. */
  function WhenVisible({ children, height }) {
    const place = useRef(null);
    const [visible, setVisible] = useState(false);
    useEffect(() => {
      const show = () => setVisible(true);
      const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && show(), { rootMargin: "300px" });
      observer.observe(place.current);
      addEventListener("beforeprint", show);
      return () => observer.disconnect();
    }, []);
    return html`<div ref=${place} style=${visible ? "" : `min-height: ${height}px`}>${visible && children}</div>`;
  }

  function Distributions({ cohort }) {
    const [highlighted, setHighlighted] = useState("");
    return html`<p><label>Highlight scans whose name contains <input type="search" onInput=${(event) => setHighlighted(event.target.value.trim())} /></label></p>
      <div class="strips">${cohort.distributions.map(
        (distribution) => html`<${WhenVisible} height="150"><${StripPlot} cohort=${cohort} distribution=${distribution} highlighted=${highlighted} /><//>`,
      )}</div>`;
  }

  /** A small picture of every scan; the browser loads those that come into view. */
  function ContactSheet({ cohort }) {
    return html`<${WhenVisible} height="400"><ul class="sheet">${cohort.pages.map(
      (page) => html`<li><a href=${lesionflow.scanAddress(page)}>
        <img loading="lazy" width="240" height="100" src=${page.folder + page.thumbnail} alt="" />
        <span>${page.scan}${cohort.models.length > 1 && `, ${page.model}`}: ${page.summary}</span>
      </a></li>`,
    )}</ul><//>`;
  }

  Object.assign(lesionflow, { ContactSheet, Distributions });
})();
