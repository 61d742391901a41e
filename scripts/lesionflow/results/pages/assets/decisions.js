// Decisions of reviewers on lesions: kept in the browser, exported and imported as review.tsv.
// The format is that of lesionflow.results.reviews.review_file.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const COLUMNS = [
    ...["scan", "model", "label", "lesion", "x_mm", "y_mm", "z_mm", "decision", "reviewer", "date"],
    ...["note", "lesion_map_sha256", "scan_sha256", "voxels", "rows"],
  ];
  const DECISIONS = ["accepted", "rejected", "unsure", "missed", "complete"];
  const MISSING = "n/a";
  const PREFIX = "lesionflow-review/";
  // Of this report alone: in Chromium all pages that are opened from disk share one storage.
  lesionflow.UNEXPORTED = `lesionflow-unexported/${globalThis.location?.pathname}`;

  // Cells hold neither tabs nor line ends.
  const escape = (text) =>
    text.replaceAll("\\", "\\\\").replaceAll("\r\n", "\n").replaceAll(/[\n\r]/g, "\\n").replaceAll("\t", " ");
  const unescape = (cell) => cell.replaceAll(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));

  /** The text of review.tsv for rows (objects by column, without `rows`). */
  function formatReview(rows) {
    const lines = rows.map((row) =>
      COLUMNS.map((name) => {
        const value = name === "rows" ? rows.length : row[name];
        const text = value === null || value === undefined || value === "" ? MISSING : String(value);
        return name === "note" && text !== MISSING ? escape(text) : text.replaceAll(/[\t\n\r]/g, " ");
      }).join("\t"),
    );
    return [COLUMNS.join("\t"), ...lines].join("\n") + "\n";
  }

  /** The rows of a review.tsv; throws an Error that names the line that is wrong. */
  function parseReview(text) {
    const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
    if (lines.pop() !== "") throw new Error("The file is cut: its last line has no end.");
    if (lines[0] !== COLUMNS.join("\t"))
      throw new Error(`Line 1: this is not a review.tsv of lesionflow. Its first line should be: ${COLUMNS.join(" ")}`);
    const rows = lines.slice(1).map((line, index) => {
      const cells = line.split("\t");
      const at = `Line ${index + 2}`;
      if (cells.length !== COLUMNS.length)
        throw new Error(`${at}: ${cells.length} cells instead of ${COLUMNS.length}. The file is cut or edited.`);
      const row = Object.fromEntries(COLUMNS.map((name, n) => [name, cells[n] === MISSING ? null : cells[n]]));
      if (!DECISIONS.includes(row.decision)) throw new Error(`${at}: unknown decision ${cells[7]}.`);
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(row.date ?? ""))
        throw new Error(`${at}: the date ${cells[9]} is not like 2026-11-27T12:00:00Z. Was the file edited in a spreadsheet?`);
      if (!row.scan || !row.model || !row.reviewer) throw new Error(`${at}: scan, model or reviewer is missing.`);
      if (row.decision !== "complete")
        for (const name of ["x_mm", "y_mm", "z_mm"])
          if (!/^-?\d+(\.\d+)?(e-\d+)?$/.test(row[name] ?? "")) throw new Error(`${at}: ${name} is not a number.`);
      if (["accepted", "rejected", "unsure"].includes(row.decision) && !/^[1-9]\d*$/.test(row.lesion ?? ""))
        throw new Error(`${at}: the number of the lesion is missing.`);
      if (row.rows !== String(lines.length - 1))
        throw new Error(`${at}: the file had ${cells[14]} rows and has ${lines.length - 1}. Rows were added or removed.`);
      if (row.note) row.note = unescape(row.note);
      for (const name of ["x_mm", "y_mm", "z_mm"]) if (row[name] !== null) row[name] = Number(row[name]);
      if (row.lesion !== null) row.lesion = Number(row.lesion);
      delete row.rows;
      return row;
    });
    const seen = new Map();
    rows.forEach((row, index) => {
      const id = identity(row);
      if (seen.has(id)) throw new Error(`Line ${index + 2} decides the same as line ${seen.get(id)}.`);
      seen.set(id, index + 2);
    });
    return rows;
  }

  /** What a row decides on: a newer row of the same identity replaces it. */
  function identity(row) {
    const isMark = row.lesion === null && row.x_mm !== null; // of a missed lesion
    const place = isMark ? [row.label, row.x_mm, row.y_mm, row.z_mm] : [row.lesion];
    return JSON.stringify([row.scan, row.model, row.lesion_map_sha256, row.reviewer, ...place]);
  }

  /** What stays the same of a decision that a run has moved to its lesion on another lesion map. */
  const signature = ({ label, decision, reviewer, date, note }) => JSON.stringify([label, decision, reviewer, date, note]);

  /** Decisions on the scans of a cohort, in the storage of the browser. */
  class Store {
    /**
     * `pages`: scans under a model, each with `scan`, `model`, `scan_sha256` and `lesion_map_sha256`.
     * `decisions`: rows of the reviews that the run was given.
     */
    constructor(pages, decisions = [], storage = globalThis.localStorage) {
      this.storage = storage;
      this.pages = new Map(pages.map((page) => [`${page.scan}/${page.model}`, page]));
      this.cache = new Map();
      this.ofRun = Map.groupBy(decisions, (row) => `${row.scan}/${row.model}/${row.scan_sha256}`);
      this.history = [];
      this.listeners = new Set();
    }

    get reviewer() {
      const name = this.storage.getItem("lesionflow-reviewer") ?? "";
      return name === MISSING ? "" : name; // review.tsv would lack it
    }

    set reviewer(name) {
      this.storage.setItem("lesionflow-reviewer", name.trim());
      this.changed();
    }

    changed() {
      for (const listener of this.listeners) listener();
    }

    key(page) {
      return `${PREFIX}${page.scan}/${page.model}/${page.scan_sha256}`;
    }

    /** All rows on a scan under a model, those on earlier lesion maps included. */
    rows(page) {
      const key = this.key(page);
      const text = this.storage.getItem(key) ?? "[]"; // another tab may have changed it
      if (this.cache.get(key)?.text !== text) {
        const stored = JSON.parse(text);
        const { scan, model, scan_sha256 } = page;
        const rows = stored
          .filter((row) => row.decision !== null)
          .map((row) => ({ note: null, ...row, scan, model, scan_sha256 }))
          .filter((row) => !this.isMoved(page, row));
        // The decisions that the run was given, on lesion maps that this browser has no decision on.
        const known = new Set(stored.map((row) => row.lesion_map_sha256));
        const ofRun = this.givenFor(page).filter((row) => !known.has(row.lesion_map_sha256));
        this.cache.set(key, { text, rows: [...rows, ...ofRun] });
      }
      return this.cache.get(key).rows;
    }

    /** The decisions on a scan under a model that the run was given. */
    givenFor(page) {
      return this.ofRun.get(this.key(page).slice(PREFIX.length)) ?? [];
    }

    /** Rows on the scan's current lesion map, by default those of the reviewer. */
    current(page, reviewer = this.reviewer) {
      return this.rows(page).filter(
        (row) => row.lesion_map_sha256 === page.lesion_map_sha256 && (reviewer === null || row.reviewer === reviewer),
      );
    }

    /**
     * Whether the run was given a row and has moved it to its lesion on another lesion map. The moved row takes its place:
     * both together would be two decisions, of which the older one stays when the newer one is removed.
     */
    isMoved(page, row) {
      const given = this.givenFor(page);
      if (given.some((other) => identity(other) === identity(row))) return false;
      return given.some((other) => other.lesion_map_sha256 !== row.lesion_map_sha256 && signature(other) === signature(row));
    }

    write(page, rows) {
      // without what the key says: browsers keep five million characters for all pages that are opened from disk
      const stored = rows.map(({ scan, model, scan_sha256, ...row }) => row);
      // Where all decisions that the run was given are removed, a row without one says so: they would come back.
      const maps = new Set(rows.map((row) => row.lesion_map_sha256));
      const removed = new Set(this.givenFor(page).map((row) => row.lesion_map_sha256).filter((map) => !maps.has(map)));
      for (const lesion_map_sha256 of removed) stored.push({ lesion_map_sha256, decision: null });
      if (stored.length) this.storage.setItem(this.key(page), JSON.stringify(stored)); // throws if the storage is full
      else this.storage.removeItem(this.key(page));
      this.changed();
    }

    /**
     * Set or replace a decision of the reviewer; a null decision removes it. The note stays unless another one is given.
     * Throws if the browser cannot keep it.
     */
    decide(page, decision) {
      const row = {
        ...{ scan: page.scan, model: page.model, label: null, lesion: null, x_mm: null, y_mm: null, z_mm: null },
        ...{ note: null, voxels: null, ...decision, reviewer: this.reviewer },
        date: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
        lesion_map_sha256: page.lesion_map_sha256,
        scan_sha256: page.scan_sha256,
      };
      const before = this.rows(page);
      const old = before.find((other) => identity(other) === identity(row));
      if (old && !("note" in decision)) row.note = old.note;
      const rows = before.filter((other) => other !== old);
      if (row.decision !== null) rows.push(row);
      this.write(page, rows);
      this.history.push({ page, row, old, lesion: row.lesion });
      this.storage.setItem(lesionflow.UNEXPORTED, "yes");
    }

    /** Undo the last decision; returns what it was on, or null. */
    undo() {
      const last = this.history.pop();
      if (!last) return null;
      // this one decision alone: another tab may have made others since
      const rows = this.rows(last.page).filter((other) => identity(other) !== identity(last.row));
      this.write(last.page, last.old ? [...rows, last.old] : rows);
      this.storage.setItem(lesionflow.UNEXPORTED, "yes");
      return last;
    }

    /** All decisions on the scans of the cohort. */
    all() {
      const rows = [...this.pages.values()].flatMap((page) => this.rows(page));
      // and those that the run was given on scans that have no results now
      const known = new Set([...this.pages.values()].map((page) => this.key(page).slice(PREFIX.length)));
      return [...rows, ...[...this.ofRun].flatMap(([key, others]) => (known.has(key) ? [] : others))];
    }

    /** Take over rows of a file. Of two decisions of one reviewer on one lesion, the newer one stays. */
    merge(rows) {
      const counts = { new: 0, same: 0, newer: 0, older: 0 };
      const byPage = new Map();
      rows.forEach((row, index) => {
        const page = this.pages.get(`${row.scan}/${row.model}`);
        const ofRun = this.ofRun.get(`${row.scan}/${row.model}/${row.scan_sha256}`) ?? [];
        const isOfRun = (other) => identity(other) === identity(row) && other.date === row.date;
        if (!page && ofRun.some(isOfRun)) return (counts.same += 1);
        if (!page) throw new Error(`Line ${index + 2}: this cohort has no results of ${row.model} for ${row.scan}.`);
        if (page.scan_sha256 !== row.scan_sha256)
          throw new Error(`Line ${index + 2}: ${row.scan} is another image than the one that was reviewed.`);
        if (this.isMoved(page, row)) return (counts.same += 1);
        const present = byPage.get(page) ?? [...this.rows(page)];
        const place = present.findIndex((other) => identity(other) === identity(row));
        if (place < 0) {
          present.push(row);
          counts.new += 1;
        } else if (present[place].date < row.date) {
          present[place] = row;
          counts.newer += 1;
        } else if (present[place].date === row.date) counts.same += 1;
        else counts.older += 1;
        byPage.set(page, present);
      });
      const before = [...byPage.keys()].map((page) => [page, this.rows(page)]);
      try {
        for (const [page, present] of byPage) this.write(page, present);
      } catch (error) {
        for (const [page, present] of before) this.write(page, present);
        throw new Error(`The browser refuses to store it (${error.name}).`);
      }
      this.history = [];
      return counts;
    }
  }

  Object.assign(lesionflow, { COLUMNS, Store, formatReview, parseReview });
})();
